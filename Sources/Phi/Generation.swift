import PhiTokenizer

extension Session {
    /// Continues a text.
    ///
    /// Special tokens, like `<|endoftext|>`, are found in the prompt; encode text that somebody else wrote with
    /// ``PhiTokenizer/Tokenizer/encode(_:specialTokens:)`` instead. Otherwise as with a prompt of tokens.
    public func complete(
        _ prompt: String, _ options: GenerationOptions = .greedy, onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        try complete(model.tokenizer.encode(prompt), options, onText: onText)
    }

    /// Continues a text given as tokens.
    ///
    /// The prompt is the whole text: what this session holds already is kept as far as it agrees with the prompt and
    /// taken back from there on, which changes no result. An empty prompt stands for `<|endoftext|>`, after which texts
    /// begin. The prompt may fill the context, as the last token chosen needs no place in it: at most context - prompt + 1
    /// tokens are made, then the completion ends with ``StopReason/contextFull``.
    ///
    /// Afterwards the session holds the prompt and all tokens that were chosen but the last one.
    ///
    /// - Parameter onText: Gets the text as it is made, in pieces that together are the completion's text; false ends it.
    ///   Text that may be the beginning of a stop string comes when that is decided. While a long prompt is read it gets
    ///   empty pieces, a few a second, and can end that too.
    /// - Throws: ``SessionError`` when the prompt is longer than the context or has an id that is no token; then nothing
    ///   has changed.
    public func complete(
        _ prompt: [TokenID], _ options: GenerationOptions = .greedy, onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        try complete(
            prompt, options, sampler: Sampler(options.sampling, vocabulary: model.config.vocabulary), onText: onText)
    }

    /// Continues a text by tokens that `sampler` chooses, whatever `options` say about sampling: a ``Sampler`` with logit
    /// processors, or one of another kind. Otherwise as ``complete(_:_:onText:)-([TokenID],_,_)``.
    public func complete(
        _ prompt: [TokenID], _ options: GenerationOptions = .greedy, sampler: some TokenSampler,
        onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        let endOfText = TokenID(model.config.endOfText)
        let prompt = prompt.isEmpty ? [endOfText] : prompt
        var clock = GenerationClock()
        let (reused, isRead) = try read(prompt) { onText("") }
        clock.promptIsRead()

        var sampler = sampler
        var output = GeneratedText(model.tokenizer.vocabulary, stop: options.stop)
        var reason: StopReason? = !isRead ? .cancelled : options.maximumTokens == 0 ? .maximumTokens : nil
        while reason == nil, let token = withLogits({ sampler.sample($0, history: tokens) }) {
            clock.tokenIsChosen()
            reason = output.take(token, of: self, maximumTokens: options.maximumTokens, onText)
            if reason == nil { try append(token) }
        }
        let end = output.finish(reason ?? .contextFull, onText)
        return Completion(
            text: output.text, tokens: output.tokens, stopReason: end, promptTokens: prompt.count, reusedTokens: reused,
            timings: clock.timings())
    }

    /// Makes the session hold `prompt` and its logits, as long as `goOn` says so; returns how many tokens were there before
    /// and whether all are there now.
    private func read(_ prompt: [TokenID], while goOn: () -> Bool) throws(SessionError) -> (Int, Bool) {
        guard prompt.count <= context else { throw .doesNotFit(prompt.count, limit: context) }
        for token in prompt { try check(token) }
        if tokens == prompt, withLogits({ _ in }) != nil { return (prompt.count, true) }
        let rest = rewind(to: prompt)
        return (tokens.count, try append(rest, while: goOn))
    }
}

/// A completion's text in the making: tokens in, decided text out.
package struct GeneratedText {
    /// What is decided so far, without the stop string.
    package private(set) var text = ""
    /// The tokens that were chosen, `<|endoftext|>` left out.
    package private(set) var tokens: [TokenID] = []
    private var decoder: StreamDecoder
    private var matcher: StopMatcher

    /// An empty text that ends before one of `stop`, none of which is empty.
    package init(_ vocabulary: Vocabulary, stop: [String]) {
        decoder = StreamDecoder(vocabulary, skipSpecial: true)
        matcher = StopMatcher(stop)
    }

    /// Takes a token that was chosen from `session`'s logits; returns why the text ends with it, or nil if the session has to
    /// take it next.
    package mutating func take(
        _ token: TokenID, of session: Session, maximumTokens: Int?, _ onText: (String) -> Bool = { _ in true }
    ) -> StopReason? {
        if token == TokenID(session.model.config.endOfText) { return .endOfText }
        tokens.append(token)
        let (piece, stop) = matcher.push(decoder.push(token))
        let isWanted = give(piece, onText)
        if let stop { return .stopString(stop) }
        if !isWanted { return .cancelled }
        if tokens.count == maximumTokens { return .maximumTokens }
        return session.room == 0 ? .contextFull : nil
    }

    /// Ends the text for `reason`, giving what was held back if it still belongs to it; returns the reason that it has
    /// in the end.
    package mutating func finish(_ reason: StopReason, _ onText: (String) -> Bool = { _ in true }) -> StopReason {
        switch reason {
        case .stopString, .cancelled:
            return reason
        case .endOfText, .maximumTokens, .contextFull:
            let (piece, stop) = matcher.push(decoder.finish())
            _ = give(stop == nil ? piece + matcher.finish() : piece, onText)
            return stop.map(StopReason.stopString) ?? reason
        }
    }

    private mutating func give(_ piece: String, _ onText: (String) -> Bool) -> Bool {
        if piece.isEmpty { return true }
        text += piece
        return onText(piece)
    }
}
