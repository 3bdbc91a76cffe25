import PhiTokenizer

/// A sequence of tokens and its KV cache.
///
/// A session is used by one thread at a time. Decoding allocates nothing.
public final class Session {
    /// The threads and buffers that compute its steps.
    public let engine: Engine
    /// Largest number of tokens.
    public let context: Int
    /// The tokens of the sequence.
    public private(set) var tokens: [TokenID] = []
    let cache: KVCache
    /// Row of the engine's logits with those of this session, and the step that computed them; -1 if there are none.
    private var logitsRow = 0
    private var logitsStep = -1
    /// Drafted tokens of that step that are not accepted yet: their keys and values follow the sequence's in the KV cache, and
    /// their logits are in the next rows. Without logits they are void.
    private var draft: [TokenID] = []
    private var nextToken = [TokenID](repeating: 0, count: 1)
    /// How often the sequence was changed, for ``Generation`` to notice that another did so.
    private(set) var changes = 0

    /// Creates a session with an engine of its own. `context` is by default and at most the model's; `threads` is by
    /// default ``Engine/defaultThreads``; `cache` is by default ``LanguageModel/cacheEncoding``; `speculation` does not
    /// affect results. Throws ``SessionError`` when an argument is out of range, memory cannot be allocated, or the draft
    /// model has another tokenizer.
    public convenience init(
        _ model: LanguageModel, context: Int? = nil, threads: Int? = nil, cache: CacheEncoding? = nil,
        speculation: Speculation = .automatic
    ) throws(SessionError) {
        try self.init(Engine(model, context: context, threads: threads, speculation: speculation), cache: cache)
    }

    /// Creates a session of `engine`. `context` is by default and at most the engine's; `cache` is by default
    /// ``LanguageModel/cacheEncoding``. Throws ``SessionError`` when the context is out of range or memory cannot be
    /// allocated.
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

    /// The model of its engine.
    public var model: LanguageModel { engine.model }

    /// Number of threads of its engine.
    public var threads: Int { engine.threads }

    /// Number of tokens that can still be appended.
    public var remainingContext: Int { context - tokens.count }

    /// Bytes of the KV cache when it is full.
    public var cacheBytes: Int { cache.byteCount }

    /// Encoding of the KV cache.
    public var cacheEncoding: CacheEncoding { cache.encoding }

    /// Number of positions in ``cacheBytes``: the context in whole blocks.
    package var cachePositions: Int { cache.positions }

    /// Bytes of its resident memory: of the KV cache's pages in use, and of its tokens.
    package var residentBytes: Int { cache.residentByteCount + context * MemoryLayout<TokenID>.size }

    /// Appends tokens and computes the logits that follow them, for ``withLogits(_:)``. Results do not depend on how a
    /// sequence is split into appends. Throws ``SessionError``, leaving the session unchanged, when the tokens do not
    /// fit or an id is not a token.
    public func append(_ new: some Collection<TokenID>) throws(SessionError) {
        try append(Array(new)[...], while: { true })
    }

    /// Appends tokens in batches while `shouldContinue`, called before each batch but the first, returns true. Returns
    /// whether all were appended.
    @discardableResult
    func append(_ new: ArraySlice<TokenID>, while shouldContinue: () -> Bool) throws(SessionError) -> Bool {
        try append(new, while: shouldContinue, body: nil)
    }

    /// Appends tokens and calls `body` for each of them, in order, with its index in `new` and the logits that follow
    /// it, [vocabulary], valid during the call.
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

    /// Appends one batch of tokens, the last `drafted` as a draft.
    func append(_ new: [TokenID], drafted: Int) throws(SessionError) {
        try check(new[...])
        _ = engine.appendBatch(new[...], to: self, wantsLogits: true, drafted: drafted)
    }

    /// Appends `token` without a step if it is the next one of the last step's draft; returns whether it is.
    func accept(_ token: TokenID) -> Bool {
        guard logitsStep == engine.step, draft.first == token else { return false }
        draft.removeFirst()
        tokens.append(token)
        changes += 1
        cache.count = tokens.count
        logitsRow += 1
        return true
    }

    /// Calls `body` with the logits that follow the last token, [vocabulary], valid during the call. Returns nil if
    /// there are none: before the first append, after a truncation, or after a step of another session of the engine.
    public func withLogits<Result>(_ body: (UnsafeBufferPointer<Float>) -> Result) -> Result? {
        logitsStep == engine.step ? body(engine.logits(inRow: logitsRow)) : nil
    }

    /// Removes all tokens from index `count` on. There are no logits until the next append.
    public func truncate(to count: Int) {
        guard count < tokens.count else { return }
        changes += 1
        tokens.removeLast(tokens.count - max(0, count))
        cache.count = tokens.count
        logitsStep = -1
    }

    /// Removes all tokens after the common prefix with `sequence`, which must not be empty, and returns those of
    /// `sequence` to append: at least the last, for its logits. Reuse of a prefix does not change results.
    public func rewind(to sequence: [TokenID]) -> ArraySlice<TokenID> {
        let shared = zip(tokens, sequence.dropLast()).prefix { $0 == $1 }.count
        truncate(to: shared)
        return sequence[shared...]
    }

    /// Returns an independent session of the same engine with a copy of the first `count` tokens, by default all, and
    /// of their keys and values, which is much faster than computing them. `context` is by default that of this
    /// session. A copy of all tokens shares this session's logits, if there are any.
    ///
    /// Throws ``SessionError`` when the context is out of range or too small, or memory cannot be allocated.
    public func fork(first count: Int? = nil, context: Int? = nil) throws(SessionError) -> Session {
        let count = min(max(0, count ?? tokens.count), tokens.count)
        let fork = try Session(engine, context: context ?? self.context, cache: cacheEncoding)
        guard count <= fork.context else { throw .doesNotFit(count, limit: fork.context) }
        fork.cache.copy(count, of: cache)
        fork.commit(tokens.prefix(count))
        if count == tokens.count, count > 0 { (fork.logitsRow, fork.logitsStep) = (logitsRow, logitsStep) }
        return fork
    }

    /// Replaces the tokens by those whose keys and values have been restored to the KV cache.
    func commit(restored tokens: [TokenID]) {
        self.tokens.removeAll(keepingCapacity: true)
        commit(tokens[...])
    }

    /// Adds tokens whose keys and values are in the KV cache now. There are no logits until ``setLogits(inRow:)``.
    func commit(_ new: ArraySlice<TokenID>) {
        changes += 1
        tokens.append(contentsOf: new)
        cache.count = tokens.count
        logitsStep = -1
    }

    /// Records that row `row` of the engine's logits buffer holds the logits that follow the last token, and that the rows
    /// behind hold those of `draft`.
    func setLogits(inRow row: Int, draft: ArraySlice<TokenID> = []) {
        logitsRow = row
        self.draft.replaceSubrange(0..., with: draft)
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
                    setLogits(inRow: rows.count - 1)
                }
            }
            remaining = remaining.dropFirst(count)
        }
        return true
    }

    /// Throws ``SessionError`` when `new` does not fit or an id is not a token.
    package func check(_ new: some Collection<TokenID>) throws(SessionError) {
        guard new.count <= remainingContext else {
            let (sum, isTooLarge) = tokens.count.addingReportingOverflow(new.count)
            throw .doesNotFit(isTooLarge ? .max : sum, limit: context)
        }
        for token in new { try check(token) }
    }

    func check(_ token: TokenID) throws(SessionError) {
        guard token >= 0, Int(token) < model.config.vocabulary else {
            throw .notAToken(token, vocabulary: model.config.vocabulary)
        }
    }
}

/// An error of an engine or a session.
public enum SessionError: Error, Equatable, CustomStringConvertible {
    /// The requested context is not in 1...limit.
    case contextOutOfRange(Int, limit: Int)
    /// The requested number of threads is not in ``Engine/threadCounts``.
    case threadsOutOfRange(Int)
    /// The sequence would have this many tokens.
    case doesNotFit(Int, limit: Int)
    /// A token was appended to a full context of this many.
    case contextFull(Int)
    /// This many bytes could not be allocated.
    case noMemory(Int)
    /// The id is not a token of the vocabulary.
    case notAToken(TokenID, vocabulary: Int)
    /// The thread of an ``AsyncSession`` could not be created, or none to compute for a calling thread with a small stack.
    case noThread
    /// Another generation was started in the ``AsyncSession``, or the session of a ``Generation`` was changed by another.
    case superseded
    /// The draft model has another tokenizer than the model.
    case otherTokenizer
    /// No token continues the text of a ``GenerationOptions/constraint``: the tokenizer lacks bytes, or it is a stop token.
    case noTokenFits
    /// One step of an engine was asked for this many sessions, more than ``Engine/sessionsAtOnce``.
    case tooManySessions(Int)
    /// A step of an engine was asked for a session of another one.
    case sessionOfAnotherEngine
    /// A step was asked for the same session twice.
    case repeatedSession

    /// The error in one line.
    public var description: String {
        switch self {
        case .contextOutOfRange(let context, let limit): "context must be 1...\(limit), got \(context)"
        case .threadsOutOfRange(let threads): "threads must be 1...\(Engine.threadCounts.upperBound), got \(threads)"
        case .doesNotFit(let count, let limit): "\(count) tokens do not fit the context of \(limit)"
        case .contextFull(let context): "the context of \(context) tokens is full"
        case .noMemory(let bytes): "cannot allocate \(bytes) bytes"
        case .noThread: "cannot create a thread for the session"
        case .otherTokenizer: "the draft model has another tokenizer than the model"
        case .noTokenFits: "no token continues the constraint's text without ending it"
        case .tooManySessions(let count): "a step takes at most \(Engine.sessionsAtOnce) sessions, got \(count)"
        case .sessionOfAnotherEngine: "a session belongs to another engine than the step"
        case .repeatedSession: "a session is in a step twice"
        case .superseded: "the session was changed by another generation or call before this generation ended"
        case .notAToken(let id, let vocabulary): "\(id) is not a token; ids are 0 to \(vocabulary - 1)"
        }
    }
}
