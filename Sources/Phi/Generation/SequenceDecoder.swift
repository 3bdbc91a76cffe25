import PhiTokenizer

/// One sequence being generated: chooses its next token from the session's logits, turns tokens into text and decides
/// when the sequence ends.
///
/// This is the decode loop's body, and the only one: ``Generation`` (and with it `complete`, ``AsyncSession`` and the C
/// API), the server's batcher and the evaluation's generator all call ``decode()`` after each step. They differ only in
/// how the chosen token is appended to the session: alone, or in one step with other sequences of the engine.
package struct SequenceDecoder {
    /// The session that holds the sequence, prompt included.
    package let session: Session
    /// How tokens are chosen and what ends the sequence.
    package let options: GenerationOptions
    /// The chosen token to append to the session before the next ``decode()``; nil before the first and at the end.
    package private(set) var next: TokenID?
    /// Why the sequence ended; nil while it has not.
    package private(set) var stopReason: StopReason?
    /// The text and tokens generated so far.
    package private(set) var output: GeneratedText
    private var sampler: any TokenSampler

    /// Creates a decoder for the prompt that `session` holds or will hold; the default sampler is `options.sampling`'s.
    package init(_ session: Session, _ options: GenerationOptions, sampler: (any TokenSampler)? = nil) {
        self.session = session
        self.options = options
        self.sampler = sampler ?? options.sampler(for: session.model)
        output = GeneratedText(session.model, options)
        stopReason = options.maximumTokens == 0 ? .maximumTokens : nil
    }

    /// Chooses the token that follows the session's last one. Returns nil when the sequence has ended or the session
    /// has no logits. Throws ``SessionError`` when the sampler chooses an id that is not a token.
    package mutating func decode() throws(SessionError) -> GeneratedToken? {
        guard stopReason == nil else { return nil }
        next = nil
        let history = session.tokens
        guard let (token, choice) = session.withLogits({ choose($0, history) }) else { return nil }
        try session.check(token)
        let text: String
        (text, stopReason) = output.append(token, remainingContext: session.remainingContext)
        next = stopReason == nil ? token : nil
        return GeneratedToken(token: token, text: text, choice: choice, stopReason: stopReason)
    }

    /// Ends the sequence from outside, for example because its request was cancelled.
    package mutating func end(_ reason: StopReason) {
        stopReason = reason
        next = nil
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

extension LanguageModel {
    /// Returns `prompt`, or ``TextBounds/start`` if it is empty, since a completion needs a first token.
    package func effectivePrompt(_ prompt: [TokenID]) -> [TokenID] {
        prompt.isEmpty ? [textBounds.start] : prompt
    }
}
