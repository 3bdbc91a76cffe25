import PhiEval
import Testing

/// Means and quantiles against their definitions.
struct StatisticsTests {
    @Test func errorOfTheMean() {
        let values = [3.0, 1, 4, 1, 5, 9, 2, 6]
        var running = RunningMean()
        for value in values { running.add(value + 1e9) }
        let mean = values.reduce(0, +) / 8
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 8
        #expect(abs(running.estimate.value - 1e9 - mean) < 1e-6)
        // llama-perplexity: sqrt((mean of squares - square of mean) / (n - 1)).
        #expect(abs(running.estimate.error - (variance / 7).squareRoot()) < 1e-9)
        #expect(RunningMean().estimate == Estimate(value: 0, error: 0))
    }

    @Test func quantiles() {
        let sorted = SortedValues([4, 1, 3, 2])
        #expect(sorted.quantile(0) == 1 && sorted.quantile(1) == 4 && sorted.quantile(0.5) == 2.5)
        #expect(abs(sorted.quantile(0.9) - 3.7) < 1e-12)
        #expect(SortedValues([]).quantile(0.5) == 0)
    }
}
