import PhiTokenizer

/// A text in the making, as a sequence of its tokens: ``AsyncSession/tokens(after:_:sampler:)-(String,_,_)`` makes it.
///
/// Nothing is computed before it is asked for, so a slow reader costs nothing. Each iteration makes the text anew. The last
/// token says why the text ended. An iterator throws ``SessionError``, among them ``SessionError/superseded`` when another
/// text was begun, and `CancellationError` when its task is cancelled.
public struct TokenSequence: AsyncSequence, Sendable {
    enum Prompt: Sendable {
        case text(String)
        case tokens([TokenID])
    }

    let session: AsyncSession
    let prompt: Prompt
    let options: GenerationOptions
    let sampler: (any TokenSampler)?

    /// Asks for one token after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let sequence: TokenSequence
        private var number: Int?

        init(_ sequence: TokenSequence) { self.sequence = sequence }

        /// The next token, or nil at the end.
        public mutating func next() async throws -> GeneratedToken? { try await next(isolation: #isolation) }

        /// The next token, or nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> GeneratedToken? {
            try Task.checkCancellation()
            let session = sequence.session
            if let number { return try await session.next(of: number) }
            let number = await session.begin(sequence.prompt, sequence.options, sequence.sampler)
            self.number = number
            return try await session.next(of: number)
        }
    }

    /// Begins the text at the first call of the iterator.
    public func makeAsyncIterator() -> Iterator { Iterator(self) }
}
