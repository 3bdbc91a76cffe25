import PhiTokenizer

/// A completion, generated one token a call:
///
/// ```swift
/// var generation = Generation(session, prompt, options)
/// while let next = try generation.next() { print(next.text, terminator: "") }
/// ```
///
/// ``Session/complete(_:_:onText:)-([TokenID],_,_)`` runs one to its end, and ``TokenSequence`` does in asynchronous code. The
/// first call prefills the prompt. Nothing else may change the session before the generation has ended.
public struct Generation {
    /// The session that generates.
    public var session: Session { decoder.session }
    /// How tokens are chosen and what ends the completion.
    public var options: GenerationOptions { decoder.options }
    /// Number of tokens of the prompt.
    public var promptTokens: Int { prompt.count }
    /// Number of tokens of the prompt that the session already held.
    public private(set) var reusedTokens = 0
    /// Why the completion ended; nil while it has not.
    public var stopReason: StopReason? { hasPrefilled ? decoder.stopReason : nil }

    private let prompt: [TokenID]
    private var hasPrefilled = false
    private var decoder: SequenceDecoder
    private(set) var clock = GenerationClock()

    /// The text and tokens generated so far.
    var output: GeneratedText { decoder.output }

    /// Prepares a completion of `prompt`; an empty one stands for `<|endoftext|>`. Tokens are chosen by `sampler`; nil: by
    /// the options' ``GenerationOptions/sampling``. Nothing is computed yet.
    public init(
        _ session: Session, _ prompt: [TokenID], _ options: GenerationOptions = .greedy,
        sampler: (any TokenSampler)? = nil
    ) {
        self.prompt = session.model.effectivePrompt(prompt)
        decoder = SequenceDecoder(session, options, sampler: sampler)
    }

    /// Returns the next token, or nil at the end; ``stopReason`` says why. During the prefill of a long prompt,
    /// `shouldContinue` is called a few times a second; when it returns false the completion ends as ``StopReason/cancelled``.
    ///
    /// Throws ``SessionError`` when the prompt is longer than the context or has an id that is not a token, and then nothing
    /// has changed; or when a sampler chooses an id that is not a token.
    public mutating func next(while shouldContinue: () -> Bool = { true }) throws(SessionError) -> GeneratedToken? {
        if let next = decoder.next {
            try session.append(next)
        } else if !hasPrefilled {
            let (reused, isComplete) = try session.prefill(prompt, while: shouldContinue)
            hasPrefilled = true
            clock.promptIsRead()
            reusedTokens = reused
            if !isComplete { decoder.end(.cancelled) }
        }
        guard let token = try decoder.decode() else { return nil }
        clock.tokenIsChosen()
        return token
    }
}

extension Session {
    /// Makes the session hold `prompt` and its logits, as long as `shouldContinue` returns true. Returns how many tokens it
    /// already held and whether it holds them all now.
    fileprivate func prefill(_ prompt: [TokenID], while shouldContinue: () -> Bool) throws(SessionError) -> (Int, Bool)
    {
        guard prompt.count <= context else { throw .doesNotFit(prompt.count, limit: context) }
        for token in prompt { try check(token) }
        if tokens == prompt, withLogits({ _ in }) != nil { return (prompt.count, true) }
        let remaining = rewind(to: prompt)
        return (tokens.count, try append(remaining, while: shouldContinue))
    }
}
