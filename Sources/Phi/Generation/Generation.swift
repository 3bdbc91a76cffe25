import PhiTokenizer

/// A completion, generated one token a call:
///
/// ```swift
/// var generation = Generation(session, prompt, options)
/// while let next = try generation.next() { print(next.text, terminator: "") }
/// ```
///
/// ``Session/complete(_:_:onText:)-([TokenID],_,_)`` runs one to its end; in asynchronous code ``TokenSequence`` does.
/// The first call prefills the prompt. If anything else changes the session before the generation has ended, the next call throws
/// ``SessionError/superseded``.
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
    /// The session's changes up to the last call's.
    private var knownChanges = 0
    private let decoder: SequenceDecoder
    private(set) var clock = GenerationClock()

    /// The text and tokens generated so far.
    var output: GeneratedText { decoder.output }

    /// Creates a generation for `prompt`, without computing anything yet; an empty prompt stands for ``TextBounds/start``.
    /// Without a `sampler`, tokens are chosen by the options' ``GenerationOptions/sampling``.
    public init(
        _ session: Session, _ prompt: [TokenID], _ options: GenerationOptions = .greedy,
        sampler: (any TokenSampler)? = nil
    ) {
        self.prompt = session.model.effectivePrompt(prompt)
        decoder = SequenceDecoder(session, options, sampler: sampler)
    }

    /// Returns the next token, or nil at the end; ``stopReason`` says why. During the prefill of a long prompt,
    /// `shouldContinue` is called a few times a second; false ends the completion as ``StopReason/cancelled``.
    ///
    /// Throws ``SessionError``, leaving the session unchanged, when the prompt exceeds the context or contains an id
    /// that is not a token; also when the sampler returns an id that is not a token, and when the session was changed otherwise.
    public mutating func next(while shouldContinue: () -> Bool = { true }) throws(SessionError) -> GeneratedToken? {
        guard decoder.next == nil || session.changes == knownChanges else { throw .superseded }
        defer { knownChanges = session.changes }
        if decoder.next != nil {
            if !decoder.acceptDraft() { try session.engine.append(decoding: decoder) }
        } else if !hasPrefilled {
            let (reused, isComplete) = try session.prefill(prompt, while: shouldContinue)
            hasPrefilled = true
            clock.markEndOfPrefill()
            reusedTokens = reused
            if !isComplete { decoder.end(.cancelled) }
        }
        guard let token = try decoder.decode() else { return nil }
        clock.markToken()
        return token
    }
}

extension Generation {
    /// Ends the completion as ``StopReason/cancelled``, unless it has ended. Text that was held back becomes part of it.
    func cancel() { decoder.end(.cancelled) }
}

extension Session {
    /// Appends the tokens of `prompt` that the session does not hold yet, while `shouldContinue` returns true. Returns
    /// the number of reused tokens and whether the prompt is complete.
    fileprivate func prefill(_ prompt: [TokenID], while shouldContinue: () -> Bool) throws(SessionError) -> (Int, Bool)
    {
        guard prompt.count <= context else { throw .doesNotFit(prompt.count, limit: context) }
        for token in prompt { try check(token) }
        if tokens == prompt, withLogits({ _ in }) != nil { return (prompt.count, true) }
        let remaining = rewind(to: prompt)
        return (tokens.count, try append(remaining, while: shouldContinue))
    }
}
