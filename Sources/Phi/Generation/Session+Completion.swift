import PhiTokenizer

extension Session {
    /// Generates a completion of `prompt`, in which special tokens like `<|endoftext|>` are recognised.
    ///
    /// Encode untrusted text with `Tokenizer.encode(_:specialTokens:)` and pass tokens instead, see
    /// ``complete(_:_:onText:)-([TokenID],_,_)``.
    public func complete(
        _ prompt: String, _ options: GenerationOptions = .greedy, onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        try complete(model.tokenizer.encode(prompt), options, onText: onText)
    }

    /// Generates a completion of `prompt`.
    ///
    /// The session's tokens are replaced by the prompt; a common prefix is reused, which does not change results. An
    /// empty prompt stands for ``TextBounds/start``. Because the last token is not appended, a prompt may fill the context:
    /// at most context - prompt + 1 tokens are generated, then the completion ends with ``StopReason/contextFull``.
    ///
    /// Afterwards the session holds the prompt and all generated tokens but the last.
    ///
    /// - Parameters:
    ///   - prompt: The tokens of the whole sequence so far.
    ///   - options: How tokens are chosen and what ends the completion.
    ///   - onText: Receives the completion's text in pieces as it is generated; returns false to cancel. Text that may
    ///     begin a stop string is held back. It is called with an empty piece for a token that completes no text, and a few
    ///     times a second during the prefill of a long prompt.
    /// - Throws: ``SessionError``, leaving the session unchanged, when the prompt exceeds the context or contains an id
    ///   that is not a token.
    public func complete(
        _ prompt: [TokenID], _ options: GenerationOptions = .greedy, onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        try complete(
            prompt, options, sampler: options.sampler(for: model), onText: onText)
    }

    /// Generates a completion with tokens chosen by `sampler` instead of the options' ``GenerationOptions/sampling``: a
    /// ``Sampler`` with logit processors, or a type of your own. See ``complete(_:_:onText:)-([TokenID],_,_)``.
    public func complete(
        _ prompt: [TokenID], _ options: GenerationOptions = .greedy, sampler: some TokenSampler,
        onText: (String) -> Bool = { _ in true }
    ) throws(SessionError) -> Completion {
        var generation = Generation(self, prompt, options, sampler: sampler)
        var choices: [TokenChoice] = []
        while let next = try generation.next(while: { onText("") }) {
            if let choice = next.choice, next.stopReason != .endOfText { choices.append(choice) }
            if !onText(next.text) { generation.cancel() }
        }
        return Completion(
            text: generation.output.text, tokens: generation.output.tokens, choices: choices,
            stopReason: generation.stopReason ?? .cancelled, promptTokens: generation.promptTokens,
            reusedTokens: generation.reusedTokens, timings: generation.clock.timings())
    }
}
