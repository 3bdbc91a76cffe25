import PhiEval
import Testing

/// pass@k by its definition.
struct PassRateTests {
    /// The share of all choices of k among n that hold a right one, counted.
    private func counted(_ n: Int, _ c: Int, _ k: Int) -> Double {
        let choices = (0..<1 << n).filter { $0.nonzeroBitCount == k }
        return Double(choices.filter { $0 & ((1 << c) - 1) != 0 }.count) / Double(choices.count)
    }

    @Test func isUnbiased() {
        for n in 1...8 {
            for c in 0...n {
                for k in 1...n {
                    let value = PassRate.estimate(samples: n, correct: c, k: k)
                    #expect(abs(value - counted(n, c, k)) < 1e-12, "\(n) \(c) \(k)")
                }
            }
        }
        #expect(abs(PassRate.estimate(samples: 200, correct: 1, k: 100) - 0.5) < 1e-12)
    }

    @Test func means() {
        #expect(PassRate.mean([[true], [false]], k: 1) == 0.5)
        #expect(PassRate.mean([[true, false], [false]], k: 2) == nil)
        #expect(PassRate.mean([], k: 1) == nil)
    }
}
