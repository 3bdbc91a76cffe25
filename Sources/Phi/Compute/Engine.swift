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
    package let planner: SpeculationPlanner
    /// The batch being assembled: segments, their sessions and numbers of drafted tokens in the same order, and their number
    /// of rows.
    private var segments: [ForwardPass.Segment] = []
    private var sessions: [(session: Session, drafted: Int)] = []
    private var rows = 0
    /// Number of steps. Each may overwrite the logits buffer, so that a session's logits are valid until the next.
    private(set) var step = 0

    /// Creates an engine for sessions of up to `context` tokens, by default the model's context. `threads` is by
    /// default ``defaultThreads``; `speculation` does not affect results. Throws ``SessionError`` when a number is out of
    /// range, memory cannot be allocated, or the draft model has another tokenizer; also when the calling thread has less than
    /// 256 KB of its stack left and no other thread can be started.
    public init(
        _ model: LanguageModel, context: Int? = nil, threads: Int? = nil, speculation: Speculation = .automatic
    ) throws(SessionError) {
        let context = context ?? model.config.context
        let threads = threads ?? Self.defaultThreads
        guard (1...model.config.context).contains(context) else {
            throw .contextOutOfRange(context, limit: model.config.context)
        }
        guard Self.threadCounts.contains(threads) else { throw .threadsOutOfRange(threads) }
        self.model = model
        self.context = context
        self.threads = threads
        let started = Self.startThreads(threads)
        guard started > 0 else { throw .noThread }
        startedThreads = started
        segments.reserveCapacity(Self.sessionsAtOnce)
        sessions.reserveCapacity(Self.sessionsAtOnce)
        pass = try withDefaultFloats { () throws(SessionError) in
            try ForwardPass(
                model.config, kernels: model.kernels, positions: context, segments: Engine.sessionsAtOnce,
                threads: threads, released: model.releasesPages ? model.file.mapping : nil)
        }
        planner = SpeculationPlanner(
            speculation, draftEngine: try speculation.draftEngine(for: model, context: context, threads: threads))
    }

    /// The default number of threads: one per core in the process's affinity mask, up to its control group's quota.
    public static var defaultThreads: Int { Cores().count }

    /// Starts threads, so that there are `count` with the caller's, and returns how many there are. One with a small stack does not
    /// count.
    package static func startThreads(_ count: Int) -> Int { Int(phi_reserve_threads(Int32(count))) }

    /// Appends tokens to up to ``sessionsAtOnce`` distinct sessions of this engine. Afterwards each that got any has the logits
    /// that follow its last token, until the engine's next step; without any tokens there is no step. Throws ``SessionError``,
    /// leaving all unchanged, when tokens do not fit, an id is not a token, or the sessions are too many, of another engine or not
    /// distinct.
    public func append(_ work: [(session: Session, tokens: [TokenID])]) throws(SessionError) {
        try append(work.map { (session: $0.session, tokens: $0.tokens, drafted: 0) })
    }

    /// Appends tokens as ``append(_:)`` does, of which the last `drafted` are a draft: they have logits too and become part of
    /// their session by ``Session/accept(_:)``. Work with drafts must fit one batch.
    func append(_ work: [(session: Session, tokens: [TokenID], drafted: Int)]) throws(SessionError) {
        guard work.count <= Self.sessionsAtOnce else { throw .tooManySessions(work.count) }
        guard work.allSatisfy({ $0.session.engine === self }) else { throw .sessionOfAnotherEngine }
        guard Set(work.map { ObjectIdentifier($0.session) }).count == work.count else { throw .repeatedSession }
        for (session, tokens, _) in work { try session.check(tokens[...]) }
        guard work.contains(where: { !$0.tokens.isEmpty }) else { return }
        step += 1
        // Rows of the batch with a session's last tokens in `work`, whose logits are computed.
        var ends: [(session: Session, rows: Range<Int>, draft: ArraySlice<TokenID>)] = []
        var firstLogits = 0
        func finish() {
            execute(logitsRows: ends.flatMap(\.rows), firstLogits: firstLogits)
            for end in ends {
                end.session.setLogits(inRow: firstLogits, draft: end.draft)
                firstLogits += end.rows.count
            }
            ends = []
        }
        for (session, tokens, drafted) in work where !tokens.isEmpty {
            var remaining = tokens[...]
            while !remaining.isEmpty {
                if rows == Self.batchTokens { finish() }
                remaining = remaining.dropFirst(add(remaining, of: session, drafted: drafted))
            }
            ends.append((session, rows - 1 - drafted..<rows, tokens.suffix(drafted)))
        }
        if rows > 0 { finish() }
    }

    /// Adds a session's next tokens to the batch, as many as fit, and returns how many.
    private func add(_ tokens: ArraySlice<TokenID>, of session: Session, drafted: Int) -> Int {
        let new = tokens.prefix(Self.batchTokens - rows)
        segments.append(
            ForwardPass.Segment(cache: session.cache, tokens: new, position: session.tokens.count, row: rows))
        sessions.append((session, drafted))
        session.cache.written = max(session.cache.written, session.tokens.count + new.count)
        rows += new.count
        return new.count
    }

    /// Executes the pass of the batch, commits its tokens to their sessions and starts an empty batch.
    private func execute(logitsRows: some Collection<Int>, firstLogits: Int = 0) {
        withDefaultFloats {
            pass.record(segments, rows: rows, logitsRows: logitsRows, firstLogits: firstLogits, through: model.weights)
            pass.commands.execute()
        }
        for ((session, drafted), segment) in zip(sessions, segments) {
            session.commit(segment.tokens.dropLast(drafted))
        }
        segments.removeAll(keepingCapacity: true)
        sessions.removeAll(keepingCapacity: true)
        rows = 0
    }

    /// Appends one batch of tokens to a session, the last `drafted` as a draft, and computes the logits that follow its last
    /// one and each drafted one if all of `tokens` were in the batch. Returns how many tokens were appended. Allocates nothing.
    func appendBatch(
        _ tokens: ArraySlice<TokenID>, to session: Session, wantsLogits: Bool, drafted: Int = 0
    ) -> Int {
        step += 1
        let count = add(tokens, of: session, drafted: drafted)
        let isComplete = wantsLogits && count == tokens.count
        execute(logitsRows: isComplete ? count - 1 - drafted..<count : 0..<0)
        if isComplete { session.setLogits(inRow: 0, draft: tokens.suffix(drafted)) }
        return count
    }

    /// Computes the logits of up to ``Activations/logitsRows`` rows of the last batch into rows 0... of the buffer.
    func logits(rows: Range<Int>) {
        step += 1
        withDefaultFloats {
            pass.recordLogits(of: rows, through: model.weights)
            pass.commands.execute()
        }
    }

    /// Returns row `row` of the logits buffer, [vocabulary].
    func logits(inRow row: Int) -> UnsafeBufferPointer<Float> { pass.activations.logits(inRow: row) }
}
