import CPhiKernels
import PhiTokenizer

/// The threads and buffers that compute the steps of sessions. A ``Session`` has an engine of its own unless it is
/// created for one; sessions of one engine can be batched, so that a step reads the weights once for all of them:
///
/// ```swift
/// let engine = try Engine(model)
/// let sessions = try prompts.map { _ in try Session(engine) }
/// try engine.append(zip(sessions, prompts).map { (session: $0, tokens: $1) })
/// ```
///
/// Results of a session do not depend on the batch. An engine and its sessions are used by one thread at a time.
public final class Engine {
    /// The model.
    public let model: LanguageModel
    /// Largest context of its sessions.
    public let context: Int
    /// Number of threads that were asked for.
    public let threads: Int
    /// Number of threads that there were at the start: fewer than ``threads`` if the system allows no more (`ulimit -u`, a
    /// control group's limit). The engine computes with those, slower and with the same results.
    public let startedThreads: Int
    /// Supported numbers of threads.
    public static let threadCounts = 1...Int(PHI_MAX_THREADS)
    /// Largest number of sessions in one call of ``append(_:)``.
    public static let sessionsAtOnce = Activations.logitsRows
    /// Largest number of tokens in a batch. Longer prompts take several, between which they can be cancelled.
    public static let batchTokens = Activations.batchTokens

    private let pass: ForwardPass
    /// The batch being assembled: segments, their sessions in the same order, and their number of rows.
    private var segments: [ForwardPass.Segment] = []
    private var sessions: [Session] = []
    private var rows = 0
    /// Number of steps. Each may overwrite the logits buffer, so that a session's logits are valid until the next.
    private(set) var step = 0

    /// Creates an engine for sessions of up to `context` tokens, by default the model's context. `threads` is by
    /// default ``defaultThreads``. Throws ``SessionError`` when one is out of range or memory cannot be allocated.
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
        startedThreads = Self.startThreads(threads)
        segments.reserveCapacity(Self.sessionsAtOnce)
        sessions.reserveCapacity(Self.sessionsAtOnce)
        pass = try ForwardPass(
            model.config, kernels: model.kernels, positions: context, segments: Self.sessionsAtOnce, threads: threads,
            released: model.releasesPages ? model.file.mapping : nil)
    }

    /// The default number of threads: one per core in the process's affinity mask, up to its control group's quota.
    public static var defaultThreads: Int { Cores().count }

    /// Starts threads, so that there are `count` with the caller's, and returns how many there are.
    package static func startThreads(_ count: Int) -> Int { Int(phi_reserve_threads(Int32(count))) }

    /// Appends tokens to up to ``sessionsAtOnce`` distinct sessions of this engine. Afterwards each has the logits that
    /// follow its last token, until the engine's next step. Throws ``SessionError``, leaving all unchanged, when tokens
    /// do not fit or an id is not a token.
    public func append(_ work: [(session: Session, tokens: [TokenID])]) throws(SessionError) {
        precondition(work.count <= Self.sessionsAtOnce && work.allSatisfy { $0.session.engine === self })
        precondition(Set(work.map { ObjectIdentifier($0.session) }).count == work.count)
        for (session, tokens) in work { try session.check(tokens[...]) }
        step += 1
        var ends: [(session: Session, row: Int)] = []  // rows of the batch with a session's last token in `work`
        var firstLogits = 0
        func finish() {
            execute(logitsRows: ends.map(\.row), firstLogits: firstLogits)
            for (number, end) in ends.enumerated() { end.session.setLogits(inRow: firstLogits + number) }
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

    /// Adds a session's next tokens to the batch, as many as fit, and returns how many.
    private func add(_ tokens: ArraySlice<TokenID>, of session: Session) -> Int {
        let new = tokens.prefix(Self.batchTokens - rows)
        segments.append(
            ForwardPass.Segment(cache: session.cache, tokens: new, position: session.tokens.count, row: rows))
        sessions.append(session)
        rows += new.count
        return new.count
    }

    /// Executes the pass of the batch, commits its tokens to their sessions and starts an empty batch.
    private func execute(logitsRows: some Collection<Int>, firstLogits: Int = 0) {
        pass.record(segments, rows: rows, logitsRows: logitsRows, firstLogits: firstLogits, through: model.weights)
        pass.commands.execute()
        for (session, segment) in zip(sessions, segments) { session.commit(segment.tokens) }
        segments.removeAll(keepingCapacity: true)
        sessions.removeAll(keepingCapacity: true)
        rows = 0
    }

    /// Appends one batch of tokens to a session, and computes the logits that follow its last one if all of `tokens`
    /// were in the batch. Returns how many tokens were appended. Allocates nothing.
    func appendBatch(_ tokens: ArraySlice<TokenID>, to session: Session, wantsLogits: Bool) -> Int {
        step += 1
        let count = add(tokens, of: session)
        let isComplete = wantsLogits && count == tokens.count
        execute(logitsRows: isComplete ? count - 1..<count : 0..<0)
        if isComplete { session.setLogits(inRow: 0) }
        return count
    }

    /// Computes the logits of up to ``Activations/logitsRows`` rows of the last batch into rows 0... of the buffer.
    func logits(rows: Range<Int>) {
        step += 1
        pass.recordLogits(of: rows, through: model.weights)
        pass.commands.execute()
    }

    /// Returns row `row` of the logits buffer, [vocabulary].
    func logits(inRow row: Int) -> UnsafeBufferPointer<Float> { pass.activations.logits(inRow: row) }
}
