import Foundation
import Phi
import PhiTokenizer
import Testing

struct LogProbabilitiesTests {
    private func row(_ count: Int, _ seed: Int) -> [Float] {
        (0..<count).map { Float(($0 &* 7919 &+ seed &* 104_729) % 1009) / 60 - 8 }
    }

    private func logSoftmax(_ row: [Float]) -> [Double] {
        let most = Double(row.max() ?? 0)
        let sum = row.reduce(0.0) { $0 + exp(Double($1) - most) }
        return row.map { Double($0) - most - log(sum) }
    }

    @Test(arguments: [1, 2, 7, 8, 9, 300, 301]) func areTheLogSoftmax(_ count: Int) {
        let row = row(count, 1)
        let expected = logSoftmax(row)
        row.withUnsafeBufferPointer { row in
            let actual = LogProbabilities(row)
            for place in 0..<count { #expect(abs(actual.of(TokenID(place)) - expected[place]) < 1e-12) }
            #expect(Int(actual.likeliest) == expected.indices.max { expected[$0] < expected[$1] })
        }
    }

    @Test(arguments: [1, 2, 7, 8, 9, 300, 301]) func divergence(_ count: Int) {
        let (p, q) = (row(count, 1), row(count, 2))
        let (logP, logQ) = (logSoftmax(p), logSoftmax(q))
        let expected = zip(logP, logQ).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        p.withUnsafeBufferPointer { p in
            q.withUnsafeBufferPointer { q in
                let (left, right) = (LogProbabilities(p), LogProbabilities(q))
                #expect(abs(left.divergence(of: right) - expected) <= 1e-12 * (1 + expected))
                #expect(left.divergence(of: left) == 0)
            }
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func showsWhatIsNotFinite(_ odd: Float) {
        var values = row(20, 3)
        values[11] = odd
        values.withUnsafeBufferPointer { #expect(!LogProbabilities($0).logPartition.isFinite) }
    }

    @Test(arguments: [0, 1, 5, 64, 65, 300, 999], [false, true]) func topIsSorted(_ count: Int, _ hasNaN: Bool) {
        var values = row(300, 4).map { ($0 * 2).rounded() }  // many equals
        if hasNaN { for place in [0, 5, 299] { values[place] = .nan } }
        let order = values.indices.filter { !values[$0].isNaN }.sorted { (values[$0], $1) > (values[$1], $0) }
        values.withUnsafeBufferPointer { values in
            let actual = LogProbabilities(values)
            let top = actual.top(count)
            #expect(top.map { Int($0.token) } == Array(order.prefix(count)))
            if !hasNaN { #expect(top.allSatisfy { $0.logProbability == actual.of($0.token) }) }
        }
    }
}
