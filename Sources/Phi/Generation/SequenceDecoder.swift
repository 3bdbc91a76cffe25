import PhiTokenizer

/// One sequence being generated: chooses its next token from the session's logits, turns tokens into text and decides
/// when the sequence ends.
///
/// This is the decode loop's body, and the only one: ``Generation`` (and with it `complete`, ``AsyncSession`` and the C
/// API), the server's batcher and the evaluation's generator all call ``decode()`` after each step, and again as long as
/// ``acceptDraft()`` returns true. They differ only in how the chosen token is appended to the session by
/// ``Engine/append(_:decoding:)``: alone, or in one step with other sequences of the engine.
package final class SequenceDecoder {
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
    private var constraint: ConstraintState?
    /// The drafts; nil before the first token and without speculation.
    private var drafter: SequenceDrafter?

    /// Creates a decoder for the prompt that `session` holds or will hold; the default sampler is `options.sampling`'s.
    package init(_ session: Session, _ options: GenerationOptions, sampler: (any TokenSampler)? = nil) {
        self.session = session
        self.options = options
        self.sampler = sampler ?? options.sampler(for: session.model)
        output = GeneratedText(session.model, options)
        constraint = options.constraint.map {
            ConstraintState($0, session.model, ends: options.ends(of: session.model))
        }
        stopReason =
            options.maximumTokens == 0 ? .maximumTokens : constraint?.isComplete ?? false ? .complete : nil
    }

    /// Chooses the token that follows the session's last one. Returns nil when the sequence has ended or the session
    /// has no logits. Throws ``SessionError`` when the sampler chooses an id that is not a token.
    package func decode() throws(SessionError) -> GeneratedToken? {
        guard stopReason == nil else { return nil }
        next = nil
        let history = session.tokens
        guard let made = session.withLogits({ choose($0, history) }) else { return nil }
        guard let (token, choice) = made else { throw .noTokenFits }
        try session.check(token)
        constraint?.append(token)
        let text: String
        (text, stopReason) = output.append(
            token, remainingContext: session.remainingContext, isComplete: constraint?.isComplete ?? false)
        if stopReason == nil {
            next = token
            observe(token)
        }
        return GeneratedToken(token: token, text: text, choice: choice, stopReason: stopReason)
    }

    /// Appends ``next`` to the session without a step if it was drafted and computed in the last one; returns whether it was,
    /// and the session thus has the logits for another ``decode()``.
    package func acceptDraft() -> Bool {
        guard let next, session.accept(next) else { return false }
        session.engine.planner.accept()
        return true
    }

    /// Ends the sequence from outside, for example because its request was cancelled. Text that was held back becomes part of the
    /// output.
    package func end(_ reason: StopReason) {
        guard stopReason == nil else { return }
        output.finish()
        stopReason = reason
        next = nil
    }

    /// Returns nil when the constraint allows no token.
    private func choose(
        _ logits: UnsafeBufferPointer<Float>, _ history: [TokenID]
    ) -> (TokenID, TokenChoice?)? {
        guard let token = chooseToken(logits, history) else { return nil }
        guard let alternatives = options.logProbabilities, logits.indices.contains(Int(token)) else {
            return (token, nil)
        }
        return (token, TokenChoice(token, of: logits, alternatives: alternatives))
    }

    private func chooseToken(_ logits: UnsafeBufferPointer<Float>, _ history: [TokenID]) -> TokenID? {
        guard constraint != nil else { return sampler.sample(logits, history: history) }
        return constraint?.choose(logits) { sampler.sample($0, history: history) }
    }
}

// MARK: Drafts

extension SequenceDecoder {
    /// By token of the draft: the probability that it is accepted, and with it all before.
    var expected: [Double] { drafter?.expected ?? [] }

    /// Makes a draft to follow ``next``, of no more tokens than may still be used, for a step of `rows` rows without drafts.
    func draft(rows: Int) {
        var limit = min(Speculation.mostDrafted, session.remainingContext - 1)
        if let most = options.maximumTokens { limit = min(limit, most - output.tokens.count - 1) }
        drafter?.draft(limit: limit, rows: rows)
        if let constraint { truncateDraft(to: constraint.prefix(of: draft)) }
    }

    /// The tokens of the draft.
    var draft: [TokenID] { drafter?.tokens ?? [] }

    /// Removes the draft's tokens from `count` on.
    func truncateDraft(to count: Int) { drafter?.truncate(to: count) }

    private func observe(_ token: TokenID) {
        let planner = session.engine.planner
        guard planner.isOn else { return }
        if drafter == nil {
            let coming = min(session.remainingContext, options.maximumTokens ?? session.context)
            drafter = SequenceDrafter(
                planner, session.model, session.tokens, capacity: session.tokens.count + coming)
        }
        drafter?.observe(token)
    }
}

extension LanguageModel {
    /// Returns `prompt`, or ``TextBounds/start`` if it is empty, since a completion needs a first token.
    package func effectivePrompt(_ prompt: [TokenID]) -> [TokenID] {
        prompt.isEmpty ? [textBounds.start] : prompt
    }
}
