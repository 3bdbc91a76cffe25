import PhiTokenizer

/// A session for asynchronous code, on a thread of its own: the tasks that use it wait without holding up others, however
/// long a step takes.
///
/// ```swift
/// let session = try AsyncSession(model)
/// for try await token in session.tokens(after: "def fibonacci(n):\n", options) {
///     print(token.text, terminator: "")
/// }
/// ```
///
/// It makes one text at a time. A task that is cancelled waits for one step at most: a token, or a batch of a long prompt.
///
/// Why a thread and not the cooperative pool: libomp keeps a team of threads for every thread that computes with it, and an
/// actor of the pool would come from all of them in turn.
public actor AsyncSession {
    private nonisolated let thread: SessionThread
    private let session: Session
    private var generation: Generation?
    private var generationNumber = 0

    /// The thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Makes a session as ``Session/init(_:context:threads:cache:)`` does, and its thread. Throws ``SessionError``.
    public init(
        _ model: LanguageModel, context: Int? = nil, threads: Int? = nil, cache: CacheEncoding? = nil
    ) throws(SessionError) {
        session = try Session(model, context: context, threads: threads, cache: cache)
        thread = try SessionThread()
    }

    deinit { thread.end() }

    /// Continues a text, token by token; see ``Generation``. Special tokens, like `<|endoftext|>`, are found in the prompt.
    public nonisolated func tokens(
        after prompt: String, _ options: GenerationOptions = .greedy, sampler: (any TokenSampler)? = nil
    ) -> TokenSequence {
        TokenSequence(session: self, prompt: .text(prompt), options: options, sampler: sampler)
    }

    /// Continues a text given as tokens; see ``Generation``.
    public nonisolated func tokens(
        after prompt: [TokenID], _ options: GenerationOptions = .greedy, sampler: (any TokenSampler)? = nil
    ) -> TokenSequence {
        TokenSequence(session: self, prompt: .tokens(prompt), options: options, sampler: sampler)
    }

    /// Does something with the session itself on its thread: forks it, saves it, reads logits.
    ///
    /// ```swift
    /// let prefix = await session.withSession { $0.save() }
    /// ```
    public func withSession<Result: Sendable, Failure: Error>(
        _ body: @Sendable (Session) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(session)
    }

    /// Begins a text and returns the number by which ``next(of:)`` goes on with it.
    func begin(
        _ prompt: TokenSequence.Prompt, _ options: GenerationOptions, _ sampler: (any TokenSampler)?
    ) -> Int {
        let prompt =
            switch prompt {
            case .text(let text): session.model.tokenizer.encode(text)
            case .tokens(let tokens): tokens
            }
        generation = Generation(session, prompt, options, sampler: sampler)
        generationNumber += 1
        return generationNumber
    }

    /// The next token of a text.
    func next(of number: Int) throws -> GeneratedToken? {
        guard number == generationNumber else { throw SessionError.superseded }
        try Task.checkCancellation()
        let token = try generation?.next(while: { !Task.isCancelled })
        if generation?.stopReason == .cancelled { throw CancellationError() }
        return token
    }
}
