import PhiTokenizer

extension Session {
    /// Continues a text.
    ///
    /// Special tokens, like `<|endoftext|>`, are found in the prompt; encode text that somebody else wrote with
    /// `Tokenizer.encode(_:specialTokens:)` instead. Otherwise as with a prompt of tokens.
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
    /// - Parameters:
    ///   - prompt: The whole text's tokens.
    ///   - options: How tokens are chosen and what ends the completion.
    ///   - onText: Gets the text as it is made, in pieces that together are the completion's text; false ends it.
    ///     Text that may be the beginning of a stop string comes when that is decided. While a long prompt is read it gets
    ///     empty pieces, a few a second, and can end that too.
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
        var generation = Generation(self, prompt, options, sampler: sampler)
        var choices: [TokenChoice] = []
        while let next = try generation.next(while: { onText("") }) {
            if let choice = next.choice, next.stopReason != .endOfText { choices.append(choice) }
            if !next.text.isEmpty, !onText(next.text) { break }
        }
        return Completion(
            text: generation.output.text, tokens: generation.output.tokens, choices: choices,
            stopReason: generation.stopReason ?? .cancelled, promptTokens: generation.promptTokens,
            reusedTokens: generation.reusedTokens, timings: generation.clock.timings())
    }
}
