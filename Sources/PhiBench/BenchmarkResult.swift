/// What a case took, run for run, beside what the machine could do.
public struct BenchmarkResult: Sendable {
    /// What was timed.
    public let benchmark: BenchmarkCase
    /// Nanoseconds of each run.
    public let samples: [Double]
    /// The machine's limits with as many threads, measured right before.
    public let limits: MachineLimits
    /// Bytes that one generated token must read: the weights.
    public let bytesPerToken: Int
    /// Integer operations, two for a product and its sum, that one prompt token must make in the blocks' matrices.
    public let operationsPerToken: Double
    /// Bytes of memory beyond the mapped file and the KV cache after the last run; nil where the system does not say.
    public let memory: Int?

    /// Tokens a second of each run.
    public var rates: [Double] { samples.map { Double(benchmark.prompt + benchmark.generate) * 1e9 / $0 } }

    /// Share of the read bandwidth that generating reached; nil for cases with a prompt.
    public var readShare: Double? {
        guard benchmark.prompt == 0, limits.readRate > 0 else { return nil }
        return mean(rates) * Double(bytesPerToken) / limits.readRate
    }

    /// Share of the integer peak that reading a prompt reached; nil for cases without, and for weights in floats.
    public var integerShare: Double? {
        guard benchmark.generate == 0, operationsPerToken > 0, limits.integerRate > 0 else { return nil }
        return mean(rates) * operationsPerToken / limits.integerRate
    }
}

/// The arithmetic mean; 0 of nothing.
public func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }

/// The sample standard deviation, as llama-bench gives it; 0 of fewer than two.
public func standardDeviation(_ values: [Double]) -> Double {
    guard values.count > 1 else { return 0 }
    let mean = mean(values)
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(values.count - 1)).squareRoot()
}

/// The middle value; 0 of nothing.
public func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return 0 }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
