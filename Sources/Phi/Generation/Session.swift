import PhiTokenizer

/// One text in the making: the tokens so far and their keys and values.
///
/// A session is used by one thread at a time. After it is made, decoding allocates nothing.
public final class Session {
    /// What it computes with.
    public let engine: Engine
    /// Positions it has room for.
    public let context: Int
    /// The tokens so far.
    public private(set) var tokens: [TokenID] = []
    let cache: KVCache
    private var logitsRow = 0
    private var logitsStep = -1
    private var nextToken = [TokenID](repeating: 0, count: 1)

    /// Makes a session with an engine of its own. `context` is at most the model's, which is also the default; `threads`
    /// defaults to the cores that this process may use; `cache` says how keys and values are kept, by default as suits the
    /// model (``LanguageModel/cacheEncoding``). Throws ``SessionError`` when one is out of range or the memory is not there.
    public convenience init(
        _ model: LanguageModel, context: Int? = nil, threads: Int? = nil, cache: CacheEncoding? = nil
    ) throws(SessionError) {
        try self.init(Engine(model, context: context, threads: threads), cache: cache)
    }

    /// Makes a session of `engine`. `context` is at most the engine's, which is also the default; `cache` says how keys and
    /// values are kept, by default as suits the model (``LanguageModel/cacheEncoding``). Throws ``SessionError`` when the
    /// context is out of range or the memory is not there.
    public init(_ engine: Engine, context: Int? = nil, cache: CacheEncoding? = nil) throws(SessionError) {
        let context = context ?? engine.context
        guard (1...engine.context).contains(context) else {
            throw .contextOutOfRange(context, limit: engine.context)
        }
        self.engine = engine
        self.context = context
        self.cache = try KVCache(
            engine.model.config, capacity: context, encoding: cache ?? engine.model.cacheEncoding)
        tokens.reserveCapacity(context)
    }

    /// The model it runs.
    public var model: LanguageModel { engine.model }

    /// Threads it computes on.
    public var threads: Int { engine.threads }

    /// Positions that are left.
    public var remainingContext: Int { context - tokens.count }

    /// Bytes that the KV cache takes when it is full.
    public var cacheBytes: Int { cache.byteCount }

    /// How keys and values are kept.
    public var cacheEncoding: CacheEncoding { cache.encoding }

    /// Positions that ``cacheBytes`` are for: the context in whole blocks.
    package var cachePositions: Int { cache.positions }

    /// Bytes of ``cacheBytes`` that its tokens fill, in whole blocks of positions: about what it takes from the system.
    package var filledCacheBytes: Int { cache.filledByteCount }

    /// Appends tokens; afterwards ``withLogits(_:)`` has the logits of what comes next. It does not matter to any
    /// result how a text is cut into appends. Throws ``SessionError`` when they do not fit or are not tokens, and then
    /// nothing has changed.
    public func append(_ new: some Collection<TokenID>) throws(SessionError) {
        try append(Array(new)[...], while: { true })
    }

    /// Appends tokens as long as `shouldContinue`, which is asked before each batch but the first, says so; returns whether all
    /// are appended.
    @discardableResult
    func append(_ new: ArraySlice<TokenID>, while shouldContinue: () -> Bool) throws(SessionError) -> Bool {
        try append(new, while: shouldContinue, body: nil)
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
        guard remainingContext > 0 else { throw .contextFull(context) }
        try check(token)
        nextToken[0] = token
        _ = engine.appendBatch(nextToken[...], to: self, wantsLogits: true)
    }

    /// The logits after the last token, one a token of the vocabulary, valid during the call; none before the first append,
    /// nor after another session of the engine has gone on.
    public func withLogits<Result>(_ body: (UnsafeBufferPointer<Float>) -> Result) -> Result? {
        logitsStep == engine.step ? body(engine.logits(inRow: logitsRow)) : nil
    }

    /// Takes back all tokens from place `count` on. Logits are there again after the next append.
    public func truncate(to count: Int) {
        guard count < tokens.count else { return }
        tokens.removeLast(tokens.count - max(0, count))
        cache.count = tokens.count
        logitsStep = -1
    }

    /// Takes back what does not agree with `text`, which is not empty, and returns the tokens of it that are to be appended: at
    /// least the last, which is read again for its logits. How much is kept changes no result.
    public func rewind(to text: [TokenID]) -> ArraySlice<TokenID> {
        let shared = zip(tokens, text.dropLast()).prefix { $0 == $1 }.count
        truncate(to: shared)
        return text[shared...]
    }

    /// A session of the same engine that holds the first `count` tokens of this one, by default all: their keys and values
    /// are copied, which takes far less time than to compute them, and it goes on as if it had computed them itself. It has
    /// room for `context` positions, by default as many as this one. When all tokens are taken it has the logits too, if this
    /// one has.
    ///
    /// Throws ``SessionError`` when the context is out of range or too small, or the memory is not there.
    public func fork(first count: Int? = nil, context: Int? = nil) throws(SessionError) -> Session {
        let count = min(max(0, count ?? tokens.count), tokens.count)
        let fork = try Session(engine, context: context ?? self.context, cache: cacheEncoding)
        guard count <= fork.context else { throw .doesNotFit(count, limit: fork.context) }
        fork.cache.copy(count, of: cache)
        fork.tokens.append(contentsOf: tokens.prefix(count))
        if count == tokens.count, count > 0 { (fork.logitsRow, fork.logitsStep) = (logitsRow, logitsStep) }
        return fork
    }

    /// Replaces the token history after a restore.
    func commit(restored tokens: [TokenID]) {
        self.tokens.removeAll(keepingCapacity: true)
        cache.count = 0
        commit(tokens[...])
    }

    /// Adds tokens whose keys and values the KV cache has now. Their logits are not computed yet.
    func commit(_ new: ArraySlice<TokenID>) {
        tokens.append(contentsOf: new)
        cache.count = tokens.count
        logitsStep = -1
    }

    /// Notes that the engine has the logits after the last token in row `row`.
    func hasLogits(inRow row: Int) {
        logitsRow = row
        logitsStep = engine.step
    }

    private func append(
        _ new: ArraySlice<TokenID>, while shouldContinue: () -> Bool, body: ((Int, UnsafeBufferPointer<Float>) -> Void)?
    ) throws(SessionError) -> Bool {
        try check(new)
        var remaining = new
        while !remaining.isEmpty {
            if remaining.count < new.count, !shouldContinue() { return false }
            let count = engine.appendBatch(remaining, to: self, wantsLogits: body == nil)
            if let body {
                for first in stride(from: 0, to: count, by: Activations.logitsRows) {
                    let rows = first..<min(first + Activations.logitsRows, count)
                    engine.logits(rows: rows)
                    for row in rows { body(new.count - remaining.count + row, engine.logits(inRow: row - first)) }
                    hasLogits(inRow: rows.count - 1)
                }
            }
            remaining = remaining.dropFirst(count)
        }
        return true
    }

    /// Throws ``SessionError`` when `new` does not fit or has what is no token.
    func check(_ new: ArraySlice<TokenID>) throws(SessionError) {
        guard new.count <= remainingContext else { throw .doesNotFit(tokens.count + new.count, limit: context) }
        for token in new { try check(token) }
    }

    func check(_ token: TokenID) throws(SessionError) {
        guard token >= 0, Int(token) < model.config.vocabulary else {
            throw .notAToken(token, vocabulary: model.config.vocabulary)
        }
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
    /// The system gave an ``AsyncSession`` no thread.
    case noThread
    /// An ``AsyncSession`` has begun another text.
    case superseded

    /// What is wrong, in one line.
    public var description: String {
        switch self {
        case .contextOutOfRange(let context, let limit): "a context of \(context) is not 1 to the model's \(limit)"
        case .threadsOutOfRange(let threads): "\(threads) threads are not 1 to \(Engine.threadCounts.upperBound)"
        case .doesNotFit(let count, let limit): "\(count) tokens do not fit the context of \(limit)"
        case .contextFull(let context): "the context of \(context) tokens is full"
        case .noMemory(let bytes): "there is no memory for \(bytes) bytes"
        case .noThread: "there is no thread for the session"
        case .superseded: "another text was begun in this session"
        case .notAToken(let id, let vocabulary): "\(id) is not a token; ids are 0 to \(vocabulary - 1)"
        }
    }
}
