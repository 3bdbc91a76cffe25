import CPhiKernels
import Foundation
import Phi
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct ErrorFeedbackTests {
    /// Correlated inputs, like a model's: a few common causes and a little noise.
    private struct Inputs {
        let width: Int
        let rows: [[Float]]

        init(width: Int, count: Int, causes: Int = 24, seed: UInt64 = 5) {
            var random = SeededRandom(seed: seed)
            let mixing = (0..<causes).map { _ in (0..<width).map { _ in random.normal() } }
            self.width = width
            rows = (0..<count).map { _ in
                var x = (0..<width).map { _ in 0.3 * random.normal() }
                for cause in mixing {
                    let strength = random.normal()
                    for k in x.indices { x[k] += strength * cause[k] }
                }
                return x
            }
        }

        /// Some columns of other inputs.
        init(_ other: Inputs, columns: Range<Int>) {
            width = columns.count
            rows = other.rows.map { Array($0[columns]) }
        }

        /// The exact inputs, of which ``rows`` are a drifted form: a little smaller, and moved.
        var exact: [[Float]] {
            rows.map { x in x.indices.map { 1.1 * x[$0] + 0.05 * x[($0 + 1) % width] + 0.01 } }
        }

        /// Moments of the first 700 rows.
        func moments(
            threads: Int32, widestBlock: Int = InputMoments.widestBlock, exact: [[Float]]? = nil, _ kernels: Kernels
        ) -> InputMoments {
            let moments = InputMoments(
                width: width, widestBlock: widestBlock, withDrift: exact != nil, kernels: kernels, threads: threads)
            // In pieces, some longer than a run, and more runs than are summed at a time.
            for piece in [0..<7, 7..<300, 300..<700] {
                let flat = rows[piece].flatMap { $0 + [.nan] }
                let flatExact = exact?[piece].flatMap { $0 + [.nan] }
                flat.withUnsafeBufferPointer { x in
                    guard let base = x.baseAddress else { return }
                    if let flatExact {
                        flatExact.withUnsafeBufferPointer {
                            moments.add(base, width + 1, rows: piece.count, exact: $0.baseAddress)
                        }
                    } else {
                        moments.add(base, width + 1, rows: piece.count)
                    }
                }
            }
            moments.finish()
            return moments
        }
    }

    private func kernels() throws -> Kernels { try Kernels.fromEnvironment() }

    @Test(arguments: [40, 64, 200, 1000]) func momentsAreTheSumOfProducts(_ width: Int) throws {
        let inputs = Inputs(width: width, count: 700)
        let moments = inputs.moments(threads: 2, try kernels())
        let sums = moments.sums.elements(0, width * moments.blockWidth)
        for (i, j) in [(0, 0), (0, width - 1), (3, 39), (width - 1, width - 1), (width / 2, width / 2 + 1)] where i <= j
        {
            let expected = inputs.rows.reduce(0.0) { $0 + Double($1[i]) * Double($1[j]) }
            let size = inputs.rows.reduce(0.0) { $0 + Double(abs($1[i] * $1[j])) }
            #expect(abs(Double(sums[i * moments.blockWidth + j]) - expected) < 3e-3 * size, "\(width) \(i) \(j)")
        }
    }

    @Test(arguments: [1, 40, 64, 130, 300]) func theFactorsGiveTheMomentsBack(_ width: Int) throws {
        let inputs = Inputs(width: width, count: 700)
        let h = inputs.moments(threads: 2, try kernels())
        let stride = h.blockWidth
        let before = Array(h.sums.elements(0, width * stride))
        let feedback = try #require(ErrorFeedback(h, kernels: try kernels(), threads: 2))
        let d = feedback.importance.elements(0, width)
        let mean = (0..<width).reduce(0.0) { $0 + Double(before[$1 * stride + $1]) } / Double(width)
        func factor(_ i: Int, _ k: Int) -> Double { i == k ? 1 : i < k ? Double(feedback.factor(i, k)) : 0 }
        for (i, j) in [(0, 0), (0, width - 1), (width / 3, width / 2), (width - 1, width - 1)] {
            let product = (0..<width).reduce(0.0) { $0 + factor(i, $1) * Double(d[$1]) * factor(j, $1) }
            let expected = Double(before[i * stride + j]) + (i == j ? 0.01 * mean : 0)
            #expect(abs(product - expected) < 1e-3 * mean, "\(width) \(i) \(j): \(product) \(expected)")
        }
    }

    @Test(arguments: [256, 400, 1000]) func blocksAreFactoredOnTheirOwn(_ widestBlock: Int) throws {
        let width = 600
        let inputs = Inputs(width: width, count: 700)
        let moments = inputs.moments(threads: 2, widestBlock: widestBlock, try kernels())
        let block = moments.blockWidth
        #expect(block % 256 == 0 && (width + block - 1) / block == [256: 3, 400: 2, 1000: 1][widestBlock])
        let all = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 2))
        for first in stride(from: 0, to: width, by: block) {
            let count = min(block, width - first)
            let alone = Inputs(inputs, columns: first..<first + count).moments(threads: 1, try kernels())
            let own = try #require(ErrorFeedback(alone, kernels: try kernels(), threads: 1))
            #expect(
                Array(all.importance.elements(first, count)) == Array(own.importance.elements(0, count)),
                "\(widestBlock) \(first)")
            for row in 0..<count {
                #expect(
                    (row + 1..<count).allSatisfy { all.factor(first + row, first + $0) == own.factor(row, $0) },
                    "\(widestBlock) \(first) \(row)")
            }
        }
    }

    /// Sum of squared differences that stored weights make to the outputs.
    private func outputError(_ tiles: [UInt8], _ weights: [Float], rows: Int, width: Int, _ inputs: ArraySlice<[Float]>)
        -> Double
    {
        var stored = [Float](repeating: 0, count: width)
        var sum = 0.0
        for row in 0..<rows {
            phi_row(tiles, TensorEncoding.q4.rawValue, row, width, &stored)
            for x in inputs {
                var difference = 0.0
                for k in 0..<width { difference += Double((weights[row * width + k] - stored[k]) * x[k]) }
                sum += difference * difference
            }
        }
        return sum
    }

    private func encode(_ weights: [Float], rows: Int, width: Int, _ feedback: ErrorFeedback?, threads: Int32) throws
        -> [UInt8]
    {
        let encoder = TileEncoder(.q4, try kernels(), threads, rows: rows, columns: width, feedback: feedback)
        let source = FloatBuffer(weights.count)
        _ = source.elements(0, weights.count).update(fromContentsOf: weights)
        _ = encoder.encode(source, rows: rows)
        return encoder.withTiles { Array($0) }
    }

    @Test func outputsLoseLessThanHalfOfWhatPlainRoundingLoses() throws {
        let inputs = Inputs(width: 200, count: 1000)
        var random = SeededRandom(seed: 9)
        let rows = 37
        let weights = (0..<rows * 200).map { _ in 0.02 * random.normal() }
        let moments = inputs.moments(threads: 2, try kernels())
        let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 2))
        let plain = try encode(weights, rows: rows, width: 200, nil, threads: 2)
        let careful = try encode(weights, rows: rows, width: 200, feedback, threads: 2)
        // Those that it has seen and those that it has not.
        for part in [inputs.rows[..<700], inputs.rows[700...]] {
            let before = outputError(plain, weights, rows: rows, width: 200, part)
            let after = outputError(careful, weights, rows: rows, width: 200, part)
            #expect(after < 0.5 * before, "\(after) \(before)")
        }
    }

    @Test func threadsDoNotMatter() throws {
        let inputs = Inputs(width: 130, count: 700)
        var random = SeededRandom(seed: 9)
        let weights = (0..<130 * 130).map { _ in random.normal() }
        let results = try [1, 2, 5].map { (threads: Int32) in
            let moments = inputs.moments(threads: threads, try kernels())
            let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: threads))
            return try encode(weights, rows: 130, width: 130, feedback, threads: threads)
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test func inputsThatAreAlwaysZeroDoNoHarm() throws {
        let moments = InputMoments(width: 70, kernels: try kernels(), threads: 1)
        let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 1))
        var random = SeededRandom(seed: 9)
        let weights = (0..<16 * 70).map { _ in random.normal() }
        let plain = try encode(weights, rows: 16, width: 70, nil, threads: 1)
        #expect(try encode(weights, rows: 16, width: 70, feedback, threads: 1) == plain)
    }

    @Test func refusesMomentsThatAreNotFinite() throws {
        let moments = InputMoments(width: 70, kernels: try kernels(), threads: 1)
        moments.add([Float](repeating: .infinity, count: 70), 70, rows: 1)
        moments.finish()
        #expect(ErrorFeedback(moments, kernels: try kernels(), threads: 1) == nil)
    }

    /// Outputs of the corrected weights on the inputs, against those of the weights on the exact inputs.
    private func drift(_ weights: [Float], _ corrected: [Float], _ inputs: Inputs, _ range: Range<Int>) -> Double {
        let width = inputs.width
        var sum = 0.0
        for row in 0..<weights.count / width {
            for (x, e) in zip(inputs.rows[range], inputs.exact[range]) {
                var difference = 0.0
                for k in 0..<width {
                    difference += Double(weights[row * width + k] * e[k] - corrected[row * width + k] * x[k])
                }
                sum += difference * difference
            }
        }
        return sum
    }

    private func corrected(_ weights: [Float], _ feedback: ErrorFeedback) throws -> [Float] {
        let buffer = FloatBuffer(weights.count)
        let elements = buffer.elements(0, weights.count)
        _ = elements.update(fromContentsOf: weights)
        try #require(feedback.correction).apply(to: buffer, rows: weights.count / feedback.importance.count)
        return Array(elements)
    }

    @Test(arguments: [1, 40, 130, 300], [1, 37])
    func correctedWeightsSolveTheDampedEquations(_ width: Int, _ rows: Int) throws {
        let inputs = Inputs(width: width, count: 700)
        let moments = inputs.moments(threads: 2, exact: inputs.exact, try kernels())
        let stride = moments.blockWidth
        let drift = Array(try #require(moments.drift).elements(0, width * stride))
        let h = Array(moments.sums.elements(0, width * stride))
        let feedback = try #require(ErrorFeedback(moments, damping: 0.1, kernels: try kernels(), threads: 2))
        var random = SeededRandom(seed: 9)
        let weights = (0..<rows * width).map { _ in random.normal() }
        let corrected = try corrected(weights, feedback)
        let mean = (0..<width).reduce(0.0) { $0 + Double(h[$1 * stride + $1]) } / Double(width)
        func moment(_ i: Int, _ j: Int) -> Double {
            Double(h[min(i, j) * stride + max(i, j)]) + (i == j ? 0.1 * mean : 0)
        }
        // (W' - W) H = 3/4 W C.
        for row in [0, rows - 1] {
            for j in [0, width / 2, width - 1] {
                var left = 0.0, right = 0.0, size = 0.0
                for i in 0..<width {
                    let change = Double(corrected[row * width + i] - weights[row * width + i])
                    left += change * moment(i, j)
                    right += 0.75 * Double(weights[row * width + i]) * Double(drift[i * stride + j])
                    size += abs(Double(weights[row * width + i]) * Double(drift[i * stride + j]))
                }
                // The gain has 8 bits, and so have the weights that it multiplies.
                #expect(abs(left - right) < 1e-2 * (size + mean), "\(width) \(row) \(j): \(left) \(right)")
            }
        }
    }

    @Test func driftIsMostlyMadeGood() throws {
        let inputs = Inputs(width: 200, count: 1000)
        let moments = inputs.moments(threads: 2, exact: inputs.exact, try kernels())
        let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 2))
        var random = SeededRandom(seed: 9)
        let weights = (0..<16 * 200).map { _ in 0.02 * random.normal() }
        let corrected = try corrected(weights, feedback)
        // Those that it has seen and those that it has not; three quarters of an error leave a sixteenth of its square.
        for range in [0..<700, 700..<1000] {
            let before = drift(weights, weights, inputs, range), after = drift(weights, corrected, inputs, range)
            #expect(after < 0.1 * before, "\(after) \(before)")
        }
    }

    @Test func blocksAreCorrectedOnTheirOwn() throws {
        let inputs = Inputs(width: 300, count: 700)
        let moments = inputs.moments(threads: 2, widestBlock: 256, exact: inputs.exact, try kernels())
        let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 2))
        var random = SeededRandom(seed: 9)
        let weights = (0..<3 * 300).map { _ in random.normal() }
        let all = try corrected(weights, feedback)
        let columns = 0..<256
        let exact = inputs.exact.map { Array($0[columns]) }
        let first = Inputs(inputs, columns: columns).moments(threads: 1, exact: exact, try kernels())
        let own = try #require(ErrorFeedback(first, kernels: try kernels(), threads: 1))
        let alone = try corrected((0..<3).flatMap { weights[$0 * 300..<$0 * 300 + 256] }, own)
        for row in 0..<3 {
            #expect(Array(all[row * 300..<row * 300 + 256]) == Array(alone[row * 256..<(row + 1) * 256]), "\(row)")
        }
    }

    @Test func threadsDoNotMatterToTheCorrection() throws {
        let inputs = Inputs(width: 130, count: 700)
        var random = SeededRandom(seed: 9)
        let weights = (0..<20 * 130).map { _ in random.normal() }
        let results = try [1, 2, 5].map { (threads: Int32) in
            let moments = inputs.moments(threads: threads, exact: inputs.exact, try kernels())
            return try corrected(
                weights, try #require(ErrorFeedback(moments, kernels: try kernels(), threads: threads)))
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test func inputsThatDidNotDriftChangeNothing() throws {
        let inputs = Inputs(width: 70, count: 700)
        let moments = inputs.moments(threads: 1, exact: inputs.rows, try kernels())
        let feedback = try #require(ErrorFeedback(moments, kernels: try kernels(), threads: 1))
        var random = SeededRandom(seed: 9)
        let weights = (0..<16 * 70).map { _ in random.normal() }
        #expect(try corrected(weights, feedback) == weights)
    }
}
