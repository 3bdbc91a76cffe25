/// What a case took, run for run, beside what the machine could do.
package struct BenchmarkResult: Sendable {
    /// What was timed.
    package let benchmark: BenchmarkCase
    /// Nanoseconds of each run.
    package let samples: [Double]
    /// The machine's limits with as many threads at that time.
    package let limits: MachineLimits
    /// Bytes of weights that one generated token must read.
    package let weightBytes: Int
    /// Bytes that the KV cache takes when it is full.
    package let cacheBytes: Int
    /// Positions that a full KV cache has.
    package let cachePositions: Int
    /// Integer operations, two for a product and its sum, that one prompt token must make in the blocks' matrices.
    package let operationsPerToken: Double
    /// Bytes of memory beyond the mapped file and the KV cache after the last run; nil where the system does not say.
    package let memory: Int?

    /// Tokens a second of each run.
    package var rates: [Double] { samples.map { Double(benchmark.prompt + benchmark.generate) * 1e9 / $0 } }

    /// Bytes that a generated token must read, on average over the case: the weights once, and the keys and values of all
    /// positions up to its own, which are depth + 1 for the first token and depth + tokens for the last.
    package var bytesPerToken: Double {
        let positions = Double(benchmark.depth) + Double(benchmark.generate + 1) / 2
        return Double(weightBytes) + positions * Double(cacheBytes) / Double(max(1, cachePositions))
    }

    /// Share of the read bandwidth that generating reached; nil for cases with a prompt.
    package var readShare: Double? {
        guard benchmark.prompt == 0, limits.readRate > 0 else { return nil }
        return mean(rates) * bytesPerToken / limits.readRate
    }

    /// Share of the integer peak that reading a prompt reached; nil for cases without, and for weights in floats.
    package var integerShare: Double? {
        guard benchmark.generate == 0, operationsPerToken > 0, limits.integerRate > 0 else { return nil }
        return mean(rates) * operationsPerToken / limits.integerRate
    }
}

/// The arithmetic mean; 0 of nothing.
package func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }

/// The sample standard deviation, as llama-bench gives it; 0 of fewer than two.
package func standardDeviation(_ values: [Double]) -> Double {
    guard values.count > 1 else { return 0 }
    let mean = mean(values)
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(values.count - 1)).squareRoot()
}

/// The middle value; 0 of nothing.
package func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return 0 }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
