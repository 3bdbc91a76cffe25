import Phi
import PhiTokenizer

/// Times a model as llama-bench does: tokens are made up, nothing is tokenized or sampled, each case is run once to warm up
/// and then timed.
package struct Benchmark {
    private let model: LanguageModel
    private let repetitions: Int
    private let warmUp: Bool

    /// A benchmark that times each case `repetitions` times, after one run that is not timed if `warmUp` says so.
    package init(_ model: LanguageModel, repetitions: Int, warmUp: Bool) {
        self.model = model
        self.repetitions = repetitions
        self.warmUp = warmUp
    }

    /// Runs a case. Throws ``SessionError`` when it needs more positions than the model has.
    package func run(_ benchmark: BenchmarkCase) throws(SessionError) -> BenchmarkResult {
        guard benchmark.positions <= model.config.context else {
            throw .doesNotFit(benchmark.positions, limit: model.config.context)
        }
        let session = try Session(model, context: benchmark.positions, threads: benchmark.threads)
        let tokens = madeUpTokens(benchmark.positions)
        try session.append(tokens[..<benchmark.depth])
        var probe = LimitProbe(model, threads: benchmark.threads)
        var samples: [Double] = []
        for run in (warmUp ? 0 : 1)...repetitions {
            session.truncate(to: benchmark.depth)
            let elapsed = try time(tokens[benchmark.depth...], prompt: benchmark.prompt, session, &probe)
            if run > 0 { samples.append((elapsed * 1e9).rounded()) }
        }
        let memory = ProcessMemory.privateBytes.map { max(0, $0 - session.cacheBytes) }
        let config = model.config
        let weights = config.layers * config.hiddenSize * (config.inputProjectionRows + config.outputProjectionColumns)
        return BenchmarkResult(
            benchmark: benchmark, samples: samples, limits: probe.limits, weightBytes: model.bytesPerToken,
            cacheBytes: session.cacheBytes, cachePositions: session.cachePositions,
            operationsPerToken: model.encoding.isQuantised ? 2 * Double(weights) : 0, memory: memory)
    }

    /// Seconds that a session takes to read the first `prompt` of `tokens` and to make the others one by one. The limits are measured before,
    /// after, and while tokens are made, with the clock stopped.
    private func time(
        _ tokens: ArraySlice<TokenID>, prompt: Int, _ session: Session, _ probe: inout LimitProbe
    ) throws(SessionError) -> Double {
        let clock = ContinuousClock()
        var elapsed = 0.0
        func timed(_ work: () throws(SessionError) -> Void) throws(SessionError) {
            probe.read()
            let start = clock.now
            try work()
            elapsed += start.duration(to: clock.now).seconds
        }
        probe.multiply()
        if prompt > 0 { try timed { () throws(SessionError) in try session.append(tokens.prefix(prompt)) } }
        for place in stride(from: tokens.startIndex + prompt, to: tokens.endIndex, by: Self.tokensBetweenProbes) {
            try timed { () throws(SessionError) in
                for token in tokens[place...].prefix(Self.tokensBetweenProbes) { try session.append(token) }
            }
        }
        probe.read()
        probe.multiply()
        return elapsed
    }

    private static let tokensBetweenProbes = 4

    /// Tokens in no order, the same each time.
    private func madeUpTokens(_ count: Int) -> [TokenID] {
        var state: UInt64 = 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return TokenID((state >> 33) % UInt64(model.config.vocabulary))
        }
    }
}
