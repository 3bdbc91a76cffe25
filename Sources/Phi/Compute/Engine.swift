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
    /// Sessions that one call of ``append(_:)`` can take.
    public static let sessionsAtOnce = Activations.logitsBatch

    private let pass: ForwardPass
    private var parts: [ForwardPass.Part] = []
    private var rows = 0
    /// Counts what overwrites logits: a session's logits are there as long as this is what it was after its own step.
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
        let config = model.config
        parts.reserveCapacity(Self.sessionsAtOnce)
        pass = ForwardPass(
            config: config, kernels: model.kernels, released: model.releasesPages ? model.file.mapping : nil,
            rotary: try RotaryEmbedding(
                dimensions: config.rotaryDimensions, base: config.rotaryBase, positions: context),
            buffers: try Activations(config), program: try Program(threads: threads, capacity: 16 * config.layers))
    }

    /// Threads that are taken when nobody says how many: one for each core that this process may use
    /// by its affinity and its control group.
    public static var defaultThreads: Int { Cores().count }

    /// Appends tokens to several sessions of this engine, at most ``sessionsAtOnce`` and each at most once. Afterwards each
    /// has the logits of what comes next, until the engine's next step. Throws ``SessionError`` when tokens do not fit or are
    /// none, and then nothing has changed.
    public func append(_ work: [(session: Session, tokens: [TokenID])]) throws(SessionError) {
        precondition(work.count <= Self.sessionsAtOnce && work.allSatisfy { $0.session.engine === self })
        precondition(Set(work.map { ObjectIdentifier($0.session) }).count == work.count)
        for (session, tokens) in work { try session.check(tokens[...]) }
        step += 1
        var ends: [Int] = []
        var first = 0
        func finish() {
            pass.run(parts, rows: rows, through: model.weights)
            if !ends.isEmpty { pass.logits(rows: ends, first: first, through: model.weights) }
            first += ends.count
            ends = []
            endBatch()
        }
        for (number, (session, tokens)) in work.filter({ !$0.tokens.isEmpty }).enumerated() {
            var rest = tokens[...]
            while !rest.isEmpty {
                if rows == Activations.batch { finish() }
                rest = rest.dropFirst(add(rest, of: session))
            }
            ends.append(rows - 1)
            session.hasLogits(inRow: number)
        }
        if rows > 0 { finish() }
    }

    /// Puts as many of a session's next tokens into the batch as there is room for; returns how many.
    private func add(_ tokens: ArraySlice<TokenID>, of session: Session) -> Int {
        let part = tokens.prefix(Activations.batch - rows)
        parts.append(ForwardPass.Part(cache: session.cache, tokens: part, row: rows))
        session.hold(part)
        rows += part.count
        return part.count
    }

    private func endBatch() {
        pass.program.run()
        parts.removeAll(keepingCapacity: true)
        rows = 0
    }

    /// Appends one batch of tokens to a session and gets the logits of what comes behind its last; returns how many tokens
    /// those are. Allocates nothing.
    func appendBatch(_ tokens: ArraySlice<TokenID>, to session: Session, wantsLogits: Bool) -> Int {
        step += 1
        let count = add(tokens, of: session)
        pass.run(parts, rows: rows, through: model.weights)
        if wantsLogits, count == tokens.count {
            pass.logits(rows: CollectionOfOne(count - 1), through: model.weights)
            session.hasLogits(inRow: 0)
        }
        endBatch()
        return count
    }

    /// Computes logits of `rows` of the last batch, at most ``Activations/logitsBatch``, in rows 0 and on.
    func logits(rows: Range<Int>) {
        step += 1
        pass.logits(rows: rows, through: model.weights)
        pass.program.run()
    }

    /// A row of the logits buffer.
    func logits(inRow row: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(
            start: pass.buffers.logits.start + row * pass.buffers.logitsStride, count: model.config.vocabulary)
    }
}
