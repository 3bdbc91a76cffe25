import PhiTokenizer

/// A completion in the making, one token a call:
///
/// ```swift
/// var generation = Generation(session, prompt, options)
/// while let next = try generation.next() { print(next.text, terminator: "") }
/// ```
///
/// ``Session/complete(_:_:onText:)-([TokenID],_,_)`` goes through one, and ``TokenSequence`` does in asynchronous code. The
/// prompt is read by the first call. Until it is at its end, nothing else may change the session.
public struct Generation {
    /// The session that makes it.
    public let session: Session
    /// How it goes on and ends.
    public let options: GenerationOptions
    /// Tokens of the prompt.
    public var promptTokens: Int { prompt.count }
    /// Tokens of the prompt that the session had already.
    public private(set) var reusedTokens = 0
    /// Why it has ended, if it has.
    public private(set) var stopReason: StopReason?

    private let prompt: [TokenID]
    private var sampler: any TokenSampler
    /// Chosen, and not yet appended.
    private var last: TokenID?
    private(set) var output: GeneratedText
    private(set) var clock = GenerationClock()

    /// Begins a text that follows on `prompt`, which stands for `<|endoftext|>` if it is empty. Tokens are chosen by
    /// `sampler`, or if there is none by the options' ``GenerationOptions/sampling``. Nothing is computed yet.
    public init(
        _ session: Session, _ prompt: [TokenID], _ options: GenerationOptions = .greedy,
        sampler: (any TokenSampler)? = nil
    ) {
        let config = session.model.config
        self.session = session
        self.options = options
        self.prompt = prompt.isEmpty ? [TokenID(config.endOfText)] : prompt
        self.sampler = sampler ?? Sampler(options.sampling, vocabulary: config.vocabulary)
        output = GeneratedText(session.model.tokenizer.vocabulary, stop: options.stop)
    }

    /// The next token, or nil at the end; ``stopReason`` says why. While a long prompt is read, `shouldContinue` is asked a few times a
    /// second, and if it says no the text has ended as ``StopReason/cancelled``.
    ///
    /// Throws ``SessionError`` when the prompt is longer than the context or has an id that is no token, and then nothing has
    /// changed; or when a sampler chooses what is no token.
    public mutating func next(while shouldContinue: () -> Bool = { true }) throws(SessionError) -> GeneratedToken? {
        guard stopReason == nil else { return nil }
        if let last {
            try session.append(last)
        } else {
            let (reused, isRead) = try session.read(prompt, while: shouldContinue)
            clock.promptIsRead()
            reusedTokens = reused
            stopReason = !isRead ? .cancelled : options.maximumTokens == 0 ? .maximumTokens : nil
        }
        guard stopReason == nil else { return nil }
        let history = session.tokens
        guard let (token, choice) = session.withLogits({ choose($0, history) }) else { return nil }
        try session.check(token)
        clock.tokenIsChosen()
        last = token
        let text: String
        (text, stopReason) = output.take(token, of: session, maximumTokens: options.maximumTokens)
        return GeneratedToken(token: token, text: text, choice: choice, stopReason: stopReason)
    }

    private mutating func choose(
        _ logits: UnsafeBufferPointer<Float>, _ history: [TokenID]
    ) -> (TokenID, TokenChoice?) {
        let token = sampler.sample(logits, history: history)
        guard let alternatives = options.logProbabilities, logits.indices.contains(Int(token)) else {
            return (token, nil)
        }
        return (token, TokenChoice(token, of: logits, alternatives: alternatives))
    }
}

extension Session {
    /// Makes the session hold `prompt` and its logits, as long as `shouldContinue` says so; returns how many tokens were there before
    /// and whether all are there now.
    fileprivate func read(_ prompt: [TokenID], while shouldContinue: () -> Bool) throws(SessionError) -> (Int, Bool) {
        guard prompt.count <= context else { throw .doesNotFit(prompt.count, limit: context) }
        for token in prompt { try check(token) }
        if tokens == prompt, withLogits({ _ in }) != nil { return (prompt.count, true) }
        let rest = rewind(to: prompt)
        return (tokens.count, try append(rest, while: shouldContinue))
    }
}
