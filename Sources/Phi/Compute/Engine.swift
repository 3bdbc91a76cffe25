import CPhiKernels
import PhiTokenizer

/// Threads and buffers that sessions compute with. A ``Session`` brings its own unless it is made for an engine; sessions of
/// one engine can take their next steps together, which reads the weights once for all of them:
///
/// ```swift
/// let engine = try Engine(model)
/// let sessions = try prompts.map { _ in try Session(engine) }
/// try engine.append(zip(sessions, prompts).map { (session: $0, tokens: $1) })
/// ```
///
/// Nothing that a session computes depends on those beside it. An engine and its sessions are used by one thread at a time.
public final class Engine {
    /// The model it runs.
    public let model: LanguageModel
    /// Positions that a session of it can have at most.
    public let context: Int
    /// Threads it computes on.
    public let threads: Int
    /// How many threads an engine can have.
    public static let threadCounts = 1...Int(PHI_MAX_THREADS)
    /// Most sessions that one call of ``append(_:)`` can take.
    public static let sessionsAtOnce = Activations.logitsRows
    /// Most tokens that are computed together. Longer prompts are prefilled in batches of this many, between which an
    /// operation can be cancelled.
    public static let batchTokens = Activations.batchTokens

    private let pass: ForwardPass
    /// The batch being assembled: segments of sessions, in the same order, and how many rows they have together.
    private var segments: [ForwardPass.Segment] = []
    private var sessions: [Session] = []
    private var rows = 0
    /// Counts what overwrites logits: a session's logits are valid as long as this is what it was after its own step.
    private(set) var step = 0

    /// Makes an engine for sessions of up to `context` positions, by default as many as the model has. `threads` defaults to
    /// the cores that this process may use. Throws ``SessionError`` when one is out of range or the memory is not there.
    public init(_ model: LanguageModel, context: Int? = nil, threads: Int? = nil) throws(SessionError) {
        let context = context ?? model.config.context
        let threads = threads ?? Self.defaultThreads
        guard (1...model.config.context).contains(context) else {
            throw .contextOutOfRange(context, limit: model.config.context)
        }
        guard Self.threadCounts.contains(threads) else { throw .threadsOutOfRange(threads) }
        self.model = model
        self.context = context
        self.threads = threads
        segments.reserveCapacity(Self.sessionsAtOnce)
        sessions.reserveCapacity(Self.sessionsAtOnce)
        pass = try ForwardPass(
            model.config, kernels: model.kernels, positions: context, segments: Self.sessionsAtOnce, threads: threads,
            released: model.releasesPages ? model.file.mapping : nil)
    }

    /// The default number of threads: one for each core that this process may use by its affinity and its control group.
    public static var defaultThreads: Int { Cores().count }

    /// Appends tokens to several sessions of this engine, at most ``sessionsAtOnce`` and each at most once. Afterwards each
    /// has the logits that follow its last token, until the engine's next step. Throws ``SessionError`` when tokens do not
    /// fit or an id is not a token, and then nothing has changed.
    public func append(_ work: [(session: Session, tokens: [TokenID])]) throws(SessionError) {
        precondition(work.count <= Self.sessionsAtOnce && work.allSatisfy { $0.session.engine === self })
        precondition(Set(work.map { ObjectIdentifier($0.session) }).count == work.count)
        for (session, tokens) in work { try session.check(tokens[...]) }
        step += 1
        var ends: [(session: Session, row: Int)] = []  // where tokens of the batch are the last ones of `work`
        var firstLogits = 0
        func finish() {
            execute(logitsRows: ends.map(\.row), firstLogits: firstLogits)
            for (number, end) in ends.enumerated() { end.session.hasLogits(inRow: firstLogits + number) }
            firstLogits += ends.count
            ends = []
        }
        for (session, tokens) in work where !tokens.isEmpty {
            var remaining = tokens[...]
            while !remaining.isEmpty {
                if rows == Self.batchTokens { finish() }
                remaining = remaining.dropFirst(add(remaining, of: session))
            }
            ends.append((session, rows - 1))
        }
        if rows > 0 { finish() }
    }

    /// Puts as many of a session's next tokens into the batch as it has rows left; returns how many.
    private func add(_ tokens: ArraySlice<TokenID>, of session: Session) -> Int {
        let new = tokens.prefix(Self.batchTokens - rows)
        segments.append(
            ForwardPass.Segment(cache: session.cache, tokens: new, position: session.tokens.count, row: rows))
        sessions.append(session)
        rows += new.count
        return new.count
    }

    /// Executes the pass of the batch and begins a new one; then the batch's sessions hold its tokens.
    private func execute(logitsRows: some Collection<Int>, firstLogits: Int = 0) {
        pass.record(segments, rows: rows, logitsRows: logitsRows, firstLogits: firstLogits, through: model.weights)
        pass.commands.execute()
        for (session, segment) in zip(sessions, segments) { session.commit(segment.tokens) }
        segments.removeAll(keepingCapacity: true)
        sessions.removeAll(keepingCapacity: true)
        rows = 0
    }

    /// Appends one batch of tokens to a session, and computes the logits that follow its last one if all of `tokens` were in
    /// the batch. Returns how many tokens were appended. Allocates nothing.
    func appendBatch(_ tokens: ArraySlice<TokenID>, to session: Session, wantsLogits: Bool) -> Int {
        step += 1
        let count = add(tokens, of: session)
        let isComplete = wantsLogits && count == tokens.count
        execute(logitsRows: isComplete ? count - 1..<count : 0..<0)
        if isComplete { session.hasLogits(inRow: 0) }
        return count
    }

    /// Computes the logits of `rows` of the last batch, at most ``Activations/logitsRows``, into row 0 and on.
    func logits(rows: Range<Int>) {
        step += 1
        pass.recordLogits(of: rows, through: model.weights)
        pass.commands.execute()
    }

    /// Row `row` of the logits buffer, [vocabulary].
    func logits(inRow row: Int) -> UnsafeBufferPointer<Float> { pass.activations.logits(inRow: row) }
}
