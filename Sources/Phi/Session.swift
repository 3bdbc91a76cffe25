import PhiTokenizer

/// One text in the making: a model's KV cache and buffers, and the tokens that are in them.
///
/// A session is used by one thread at a time. After it is made, decoding allocates nothing.
public final class Session {
    /// The model it runs.
    public let model: LanguageModel
    /// Positions it has room for.
    public let context: Int
    /// Threads it computes on.
    public let threads: Int
    /// The tokens so far.
    public private(set) var tokens: [TokenID] = []
    private let pass: ForwardPass
    private var hasLogits = false

    /// Makes a session. `context` is at most the model's, which is also the default; `threads` defaults to the cores that
    /// this process may use. Throws ``SessionError`` when one is out of range or the memory is not there.
    public init(_ model: LanguageModel, context: Int? = nil, threads: Int? = nil) throws(SessionError) {
        let context = context ?? model.config.context
        let threads = threads ?? Self.defaultThreads
        guard (1...model.config.context).contains(context) else {
            throw .contextOutOfRange(context, limit: model.config.context)
        }
        guard (1...1024).contains(threads) else { throw .threadsOutOfRange(threads) }
        self.model = model
        self.context = context
        self.threads = threads
        tokens.reserveCapacity(context)
        let config = model.config
        pass = ForwardPass(
            model: model, threads: Threads(count: threads),
            rotary: try RotaryEmbedding(
                dimensions: config.rotaryDimensions, base: config.rotaryBase, positions: context),
            cache: try KVCache(config, capacity: context, isHalf: model.weights.head.encoding != .f32),
            buffers: try Activations(config))
    }

    /// Threads that a session takes when it is not told: one for each core that this process may use.
    public static var defaultThreads: Int { Threads.defaultCount }

    /// Positions that are left.
    public var room: Int { context - tokens.count }

    /// Bytes that the KV cache takes when it is full.
    public var cacheBytes: Int { pass.cache.byteCount }

    /// Appends tokens; afterwards ``withLogits(_:)`` has the logits of what comes next. It does not matter to any
    /// result how a text is cut into appends. Throws ``SessionError`` when they do not fit or are not tokens, and then
    /// nothing has changed.
    public func append(_ new: some Collection<TokenID>) throws(SessionError) {
        try append(Array(new)[...], while: { true })
    }

    /// Appends tokens as long as `goOn`, which is asked before each batch but the first, says so; returns whether all
    /// are appended.
    @discardableResult
    func append(_ new: ArraySlice<TokenID>, while goOn: () -> Bool) throws(SessionError) -> Bool {
        try append(new, while: goOn, body: nil)
    }

    /// Appends tokens and passes on the logits after each of them, in order: `body` gets the place among `new` and
    /// one logit a token of the vocabulary, valid during the call.
    public func append(
        _ new: some Collection<TokenID>, logits body: (Int, UnsafeBufferPointer<Float>) -> Void
    ) throws(SessionError) {
        try withoutActuallyEscaping(body) { body throws(SessionError) in
            _ = try append(Array(new)[...], while: { true }, body: body)
        }
    }

    /// Appends one token, without allocating.
    public func append(_ token: TokenID) throws(SessionError) {
        guard room > 0 else { throw .contextFull(context) }
        try check(token)
        tokens.append(token)
        pass.run(tokens[(tokens.count - 1)...])
        pass.logits(rows: 0..<1)
        hasLogits = true
    }

    /// The logits after the last token, one a token of the vocabulary, valid during the call; none before the first append.
    public func withLogits<Result>(_ body: (UnsafeBufferPointer<Float>) -> Result) -> Result? {
        hasLogits ? body(logitsRow(0)) : nil
    }

    /// Takes back all tokens from place `count` on. Logits are there again after the next append.
    public func truncate(to count: Int) {
        guard count < tokens.count else { return }
        tokens.removeLast(tokens.count - max(0, count))
        pass.cache.count = tokens.count
        hasLogits = false
    }

    private func append(
        _ new: ArraySlice<TokenID>, while goOn: () -> Bool, body: ((Int, UnsafeBufferPointer<Float>) -> Void)?
    ) throws(SessionError) -> Bool {
        guard new.count <= room else { throw .doesNotFit(tokens.count + new.count, limit: context) }
        for token in new { try check(token) }
        var batch = new
        while !batch.isEmpty {
            if batch.count < new.count, !goOn() {
                hasLogits = false
                return false
            }
            let part = batch.prefix(Activations.batch)
            batch = batch.dropFirst(part.count)
            tokens.append(contentsOf: part)
            pass.run(part)
            if let body {
                for first in stride(from: 0, to: part.count, by: Activations.logitsBatch) {
                    let rows = first..<min(first + Activations.logitsBatch, part.count)
                    pass.logits(rows: rows)
                    for row in rows { body(part.startIndex - new.startIndex + row, logitsRow(row - first)) }
                }
            }
            if batch.isEmpty {
                pass.logits(rows: part.count - 1..<part.count)
                hasLogits = true
            }
        }
        return true
    }

    func check(_ token: TokenID) throws(SessionError) {
        guard token >= 0, Int(token) < model.config.vocabulary else {
            throw .notAToken(token, vocabulary: model.config.vocabulary)
        }
    }

    private func logitsRow(_ row: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(
            start: pass.buffers.logits.start + row * pass.buffers.logitsStride, count: model.config.vocabulary)
    }
}

/// What a session cannot do.
public enum SessionError: Error, Equatable, CustomStringConvertible {
    /// A context of this many positions was asked for.
    case contextOutOfRange(Int, limit: Int)
    /// This many threads were asked for.
    case threadsOutOfRange(Int)
    /// The text would have this many tokens.
    case doesNotFit(Int, limit: Int)
    /// Another token was appended to a full context.
    case contextFull(Int)
    /// This much memory, in bytes, could not be had.
    case noMemory(Int)
    /// An id that no token has.
    case notAToken(TokenID, vocabulary: Int)

    /// What is wrong, in one line.
    public var description: String {
        switch self {
        case .contextOutOfRange(let context, let limit): "a context of \(context) is not 1 to the model's \(limit)"
        case .threadsOutOfRange(let threads): "\(threads) threads are not 1 to 1024"
        case .doesNotFit(let count, let limit): "\(count) tokens do not fit the context of \(limit)"
        case .contextFull(let context): "the context of \(context) tokens is full"
        case .noMemory(let bytes): "there is no memory for \(bytes) bytes"
        case .notAToken(let id, let vocabulary): "\(id) is not a token; ids are 0 to \(vocabulary - 1)"
        }
    }
}
