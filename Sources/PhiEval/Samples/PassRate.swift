/// Pass@k: the probability that at least one of k samples of a problem is correct.
package enum PassRate {
    /// The unbiased estimate 1 - C(n-c, k) / C(n, k) from `correct` of `samples` (Chen et al. 2021, arXiv 2107.03374,
    /// equation 1), as a product that does not overflow; 1 when fewer than k samples are wrong.
    package static func estimate(samples n: Int, correct c: Int, k: Int) -> Double {
        if n - c < k { return 1 }
        var allWrong = 1.0
        for i in n - c + 1..<n + 1 { allWrong *= 1 - Double(k) / Double(i) }
        return 1 - allWrong
    }

    /// The mean over problems, given the results of each; nil when one has fewer than k samples, or there is none.
    package static func mean(_ results: [[Bool]], k: Int) -> Double? {
        guard k > 0, !results.isEmpty, results.allSatisfy({ $0.count >= k }) else { return nil }
        let sum = results.reduce(0.0) { sum, result in
            sum + estimate(samples: result.count, correct: result.filter { $0 }.count, k: k)
        }
        return sum / Double(results.count)
    }
}
