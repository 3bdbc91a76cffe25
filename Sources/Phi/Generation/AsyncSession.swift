import PhiTokenizer

/// A session for asynchronous code, on a thread of its own: tasks wait for it without blocking the cooperative pool.
///
/// ```swift
/// let session = try AsyncSession(model)
/// for try await token in session.tokens(after: "def fibonacci(n):\n", options) {
///     print(token.text, terminator: "")
/// }
/// ```
///
/// It generates one sequence at a time. A cancelled task ends after at most one step: a token, or a batch of a prompt.
///
/// A step takes milliseconds to seconds and does not yield, which the threads of the pool are not meant for.
public actor AsyncSession {
    private nonisolated let thread: SessionThread
    private let session: Session
    private var generation: Generation?
    private var generationNumber = 0

    /// The executor that runs the actor on its thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Creates a session as ``Session/init(_:context:threads:cache:speculation:)`` does, and its thread. Throws
    /// ``SessionError``.
    public init(
        _ model: LanguageModel, context: Int? = nil, threads: Int? = nil, cache: CacheEncoding? = nil,
        speculation: Speculation = .automatic
    ) throws(SessionError) {
        session = try Session(model, context: context, threads: threads, cache: cache, speculation: speculation)
        thread = try SessionThread()
    }

    deinit { thread.end() }

    /// Returns the tokens of a completion of `prompt`, in which special tokens like `<|endoftext|>` are recognised.
    public nonisolated func tokens(
        after prompt: String, _ options: GenerationOptions = .greedy, sampler: (any TokenSampler)? = nil
    ) -> TokenSequence {
        TokenSequence(session: self, prompt: .text(prompt), options: options, sampler: sampler)
    }

    /// Returns the tokens of a completion of `prompt`; see ``Generation``.
    public nonisolated func tokens(
        after prompt: [TokenID], _ options: GenerationOptions = .greedy, sampler: (any TokenSampler)? = nil
    ) -> TokenSequence {
        TokenSequence(session: self, prompt: .tokens(prompt), options: options, sampler: sampler)
    }

    /// Calls `body` with the session on its thread, for example to fork it, save it or read logits.
    ///
    /// ```swift
    /// let prefix = await session.withSession { $0.save() }
    /// ```
    public func withSession<Result: Sendable, Failure: Error>(
        _ body: @Sendable (Session) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(session)
    }

    /// Starts a generation and returns the number that identifies it in ``next(of:)``.
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

    /// Returns the next token of a generation; throws if it is no longer the current one or the task is cancelled.
    func next(of number: Int) throws -> GeneratedToken? {
        guard number == generationNumber else { throw SessionError.superseded }
        try Task.checkCancellation()
        let token = try generation?.next(while: { !Task.isCancelled })
        if generation?.stopReason == .cancelled { throw CancellationError() }
        return token
    }
}
