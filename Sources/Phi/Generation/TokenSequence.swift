import PhiTokenizer

/// The tokens of a completion as an asynchronous sequence, see ``AsyncSession/tokens(after:_:sampler:)-(String,_,_)``.
///
/// Tokens are computed on demand. Each iteration generates the completion again; its last token has the stop reason. An
/// iterator throws ``SessionError``, for example ``SessionError/superseded`` when another generation was started, and
/// `CancellationError` when its task is cancelled.
public struct TokenSequence: AsyncSequence, Sendable {
    enum Prompt: Sendable {
        case text(String)
        case tokens([TokenID])
    }

    let session: AsyncSession
    let prompt: Prompt
    let options: GenerationOptions
    let sampler: (any TokenSampler)?

    /// An iterator that computes a token with each call of `next`.
    public struct Iterator: AsyncIteratorProtocol {
        let sequence: TokenSequence
        private var number: Int?

        init(_ sequence: TokenSequence) { self.sequence = sequence }

        /// Returns the next token, or nil at the end.
        public mutating func next() async throws -> GeneratedToken? { try await next(isolation: #isolation) }

        /// Returns the next token, or nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> GeneratedToken? {
            try Task.checkCancellation()
            let session = sequence.session
            if let number { return try await session.next(of: number) }
            let number = await session.begin(sequence.prompt, sequence.options, sequence.sampler)
            self.number = number
            return try await session.next(of: number)
        }
    }

    /// Returns an iterator, whose first call starts the generation.
    public func makeAsyncIterator() -> Iterator { Iterator(self) }
}
