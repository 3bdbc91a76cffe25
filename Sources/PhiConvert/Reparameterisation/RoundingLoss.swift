import PhiFormat

/// An estimate of what rounding a product's weights and inputs changes in its outputs, from a sample of the inputs and the root mean
/// squares w of the weights' columns. Columns of a block share a scale for inputs, columns of a group one for weights.
struct RoundingLoss {
    /// Columns of weights that share a scale, steps from zero to the largest, and its size in root mean squares.
    private let columns: Int
    private let steps, peak: Float
    /// Whether inputs have no more than 8 bits.
    private let withInputs: Bool

    /// The loss of a matrix in `encoding`.
    init(_ encoding: TensorEncoding, withInputs: Bool = true) {
        let bits = encoding.bitsPerWeight
        columns = bits < 8 ? 16 : TensorEncoding.blockColumns
        (steps, peak) = bits < 4 ? (4, 2) : bits < 8 ? (8, 2) : (127, 3)
        self.withInputs = withInputs
    }

    /// The share of the loss that a change must spare to be made: the estimate is a rough one, and ordinary models stay as they are.
    static let leastGain = 0.2
    /// A column that is not the checkpoint's: its inputs and weights are zero.
    static let zeroColumn = -1

    /// Returns the loss with the columns in `order`.
    func callAsFunction(_ x: InputSample, _ w: [Float], order: [Int]) -> Double {
        let sum = ofWeights(x, w, order)
        return withInputs ? sum + ofInputs(x, w, order) : sum
    }

    /// Returns the loss with the columns in their own order.
    func callAsFunction(_ x: InputSample, _ w: [Float]) -> Double { self(x, w, order: Array(w.indices)) }

    private func ofWeights(_ x: InputSample, _ w: [Float], _ order: [Int]) -> Double {
        let tokens = Double(x.elements.count / x.columns), rootMeanSquares = x.rootMeanSquares
        var sum = 0.0
        for first in stride(from: 0, to: order.count, by: columns) {
            let group = order[first..<min(first + columns, order.count)].filter { $0 >= 0 }
            let step = peak * group.reduce(0) { max($0, w[$1]) } / steps
            // No column loses more than itself.
            for k in group {
                sum += Double(min(step * step / 12, w[k] * w[k]) * rootMeanSquares[k] * rootMeanSquares[k])
            }
        }
        return tokens * sum
    }

    private func ofInputs(_ x: InputSample, _ w: [Float], _ order: [Int]) -> Double {
        let unit = TensorEncoding.blockColumns
        var sum = 0.0
        var squares = [Float](repeating: 0, count: unit)
        for first in stride(from: 0, to: order.count, by: unit) {
            let block = order[first..<min(first + unit, order.count)].filter { $0 >= 0 }
            let gains = block.map { w[$0] * w[$0] }
            for row in stride(from: 0, to: x.elements.count, by: x.columns) {
                var largest: Float = 0
                for (place, k) in block.enumerated() {
                    let value = x.elements[row + k]
                    squares[place] = value * value
                    largest = max(largest, squares[place])
                }
                let error = largest / (127 * 127 * 12)
                var loss: Float = 0
                for place in block.indices { loss += min(error, squares[place]) * gains[place] }
                sum += Double(loss)
            }
        }
        return sum
    }

    /// Returns powers of two by which the first `count` columns of x are best divided and those of w multiplied; nil if the loss is
    /// not lessened enough.
    func scales(_ x: InputSample, _ w: [Float], count: Int) -> [Float]? {
        var best: [Float]?
        var least = self(x, w) * (1 - Self.leastGain)
        let sizes = x.rootMeanSquares
        let kept = (0..<count).filter { sizes[$0] > 0 && w[$0] > 0 }
        let targets: [(Float, Float) -> Float] = [
            { ($0 / $1).squareRoot() }, { 1 / $1 }, { x, _ in x }, { ($0 * ($0 / $1).squareRoot()).squareRoot() },
            { (($0 / $1).squareRoot() / $1).squareRoot() },
        ]
        for target in targets {
            let wanted = kept.map { target(sizes[$0], w[$0]) }
            let middle = wanted.median
            var scales = [Float](repeating: 1, count: count)
            for (k, value) in zip(kept, wanted) {
                let exponent = (value / middle * Float(2).squareRoot()).exponent  // of the nearest power of two
                scales[k] = Float(sign: .plus, exponent: Int(max(-10, min(10, exponent))), significand: 1)
            }
            let loss = self(
                x.map { $0 < count ? $1 / scales[$0] : $1 }, w.enumerated().map { $0 < count ? $1 * scales[$0] : $1 })
            if loss < least { (best, least) = (scales, loss) }
        }
        return best
    }
}

extension [Float] {
    /// The middle one in order of size; 1 of none.
    var median: Float { isEmpty ? 1 : sorted()[count / 2] }

    /// The largest in a block of columns beside the median of those that are not zero, in the block where that is most.
    var largestBlockRatio: Float {
        stride(from: 0, to: count, by: TensorEncoding.blockColumns).reduce(1) { largest, first in
            let block = self[first..<Swift.min(first + TensorEncoding.blockColumns, count)].filter { $0 > 0 }
            return Swift.max(largest, (block.max() ?? 0) / block.median)
        }
    }
}
