import PhiFormat

/// An estimate of what rounding a product's weights and inputs changes in its outputs, from the root mean squares of its columns:
/// x of the inputs, w of the weights. Columns of a block share a scale for inputs, columns of a group one for weights.
struct RoundingLoss {
    /// Columns that share a scale, steps from zero to the largest number, and its size in root mean squares.
    private struct Rounding {
        let columns: Int
        let steps, peak: Float

        /// The mean square of what rounding changes in numbers of which the largest root mean square is `largest`.
        func squaredError(_ largest: Float) -> Float {
            let step = peak * largest / steps
            return step * step / 12
        }
    }

    private let weights: Rounding
    private let inputs: Rounding?

    /// The loss of a matrix in `encoding`; `withInputs` says whether its inputs have no more than 8 bits.
    init(_ encoding: TensorEncoding, withInputs: Bool = true) {
        let eight = Rounding(columns: TensorEncoding.blockColumns, steps: 127, peak: 3)
        let bits = encoding.bitsPerWeight
        weights = bits < 8 ? Rounding(columns: 16, steps: bits < 4 ? 4 : 8, peak: 2) : eight
        inputs = withInputs ? eight : nil
    }

    /// Returns the loss for columns from a matrix's first on.
    func callAsFunction(_ x: [Float], _ w: [Float]) -> Double {
        let ofWeights = sum(weights, rounded: w, factor: x)
        return inputs.map { ofWeights + sum($0, rounded: x, factor: w) } ?? ofWeights
    }

    private func sum(_ rounding: Rounding, rounded: [Float], factor: [Float]) -> Double {
        var sum = 0.0
        for first in stride(from: 0, to: rounded.count, by: rounding.columns) {
            let group = first..<min(first + rounding.columns, rounded.count)
            let error = rounding.squaredError(group.reduce(0) { max($0, rounded[$1]) })
            // No column loses more than itself.
            for k in group { sum += Double(min(error, rounded[k] * rounded[k]) * factor[k] * factor[k]) }
        }
        return sum
    }

    /// The share of the loss that a change must spare to be made: the estimate is a rough one, and ordinary models stay as they are.
    static let leastGain = 0.2

    /// Returns powers of two by which the first `count` columns of x are best divided and those of w multiplied, with the loss
    /// after that; nil if a loss of `loss` is not lessened enough.
    func scales(_ x: [Float], _ w: [Float], count: Int, below loss: Double) -> (scales: [Float], loss: Double)? {
        var best: (scales: [Float], loss: Double)?
        let kept = (0..<count).filter { x[$0] > 0 && w[$0] > 0 }
        let targets: [(Float, Float) -> Float] = [{ ($0 / $1).squareRoot() }, { 1 / $1 }, { x, _ in x }]
        for target in targets {
            let wanted = kept.map { target(x[$0], w[$0]) }
            let middle = wanted.median
            var scales = [Float](repeating: 1, count: count)
            for (k, value) in zip(kept, wanted) {
                // Rounded towards 1, so that ordinary columns stay.
                let ratio = value / middle
                let exponent = ratio >= 1 ? ratio.exponent : -(1 / ratio).exponent
                scales[k] = Float(sign: .plus, exponent: Int(max(-10, min(10, exponent))), significand: 1)
            }
            var (scaledX, scaledW) = (x, w)
            for k in 0..<count { (scaledX[k], scaledW[k]) = (x[k] / scales[k], w[k] * scales[k]) }
            let after = self(scaledX, scaledW)
            if after < (best?.loss ?? loss * (1 - Self.leastGain)) { best = (scales, after) }
        }
        return best
    }

    /// Returns the order of the columns from `first` on in which blocks lose least, as indices from 0; nil if it is not much better.
    func order(_ x: [Float], _ w: [Float], from first: Int) -> [Int]? {
        let own = Array(x[first...]), count = own.count
        let descending = own.indices.sorted { (own[$1], $0) < (own[$0], $1) }
        var orders = [descending, descending.reversed()]
        // The largest columns in blocks with those that contribute least, and are missed least.
        let middle = own.median
        let large = descending.prefix { own[$0] > 4 * middle }
        if !large.isEmpty {
            let isLarge = Set(large)
            let others = own.indices.filter { !isLarge.contains($0) }
            let fill =
                (TensorEncoding.blockColumns - large.count % TensorEncoding.blockColumns)
                % TensorEncoding.blockColumns
            let least = others.sorted { (own[$0] * w[first + $0], $0) < (own[$1] * w[first + $1], $1) }.prefix(fill)
            let isFill = Set(least)
            let tail = (first + count) % TensorEncoding.blockColumns
            let remaining = others.filter { !isFill.contains($0) }
            orders.append(remaining + least + large)
            orders.append(large + least + remaining)
            // Alone in the last block, if that is a short one.
            if tail >= large.count { orders.append(others.sorted { (own[$1], $0) < (own[$0], $1) }.reversed() + large) }
        }
        var best: [Int]?
        var least = self(x, w) * (1 - Self.leastGain)
        for order in orders {
            let after = self(x[..<first] + order.map { own[$0] }, w[..<first] + order.map { w[first + $0] })
            if after < least { (best, least) = (order, after) }
        }
        return best
    }

    private func callAsFunction(_ x: ArraySlice<Float>, _ w: ArraySlice<Float>) -> Double { self(Array(x), Array(w)) }
}

extension [Float] {
    /// The middle one in order of size; 1 of none.
    var median: Float { isEmpty ? 1 : sorted()[count / 2] }

    /// The largest in a block of columns beside the block's median, in the block where that is most.
    var largestBlockRatio: Float {
        stride(from: 0, to: count, by: TensorEncoding.blockColumns).reduce(1) { largest, first in
            let block = Array(self[first..<Swift.min(first + TensorEncoding.blockColumns, count)])
            let median = block.median
            return median > 0 ? Swift.max(largest, (block.max() ?? 0) / median) : largest
        }
    }
}
