import PhiCheckpoint
import PhiFormat

/// An estimate of what rounding a product's weights and inputs changes in its outputs, from samples of the inputs and of the weights'
/// rows. Columns of a block share a scale for inputs, columns of a group one for weights.
struct RoundingLoss {
    /// Columns of weights that share a scale, and steps from zero to the largest.
    private let group: Int
    private let steps: Float
    /// Whether inputs have no more than 8 bits.
    private let withInputs: Bool
    /// Root mean squares of the weights' columns, and some of their rows, both as multiples of rows' root mean squares.
    private(set) var columns: [Float]
    private var rows: [[Float]] = []

    /// Rows that are sampled.
    private static let sampled = 16

    /// The loss of a matrix in its encoding; `columns` as ``columns``.
    init(
        _ matrix: PlannedMatrix, of checkpoint: CheckpointModel, columns: [Float], withInputs: Bool = true
    ) throws(FormatError) {
        let bits = matrix.encoding.bitsPerWeight
        group = bits < 8 ? 16 : TensorEncoding.blockColumns
        steps = bits < 4 ? 4 : bits < 8 ? 8 : 127
        self.withInputs = withInputs
        self.columns = columns
        let buffer = FloatBuffer(matrix.columns)
        for row in stride(from: 0, to: matrix.rows, by: max(1, matrix.rows / Self.sampled)) {
            try checkpoint.read(row..<row + 1, of: matrix, into: buffer)
            let weights = Array(buffer.elements(0, matrix.columns))
            let size = (weights.reduce(0) { $0 + $1 * $1 } / Float(weights.count)).squareRoot()
            if size > 0 { rows.append(weights.map { $0 / size }) }
        }
    }

    /// The loss of the matrix with its columns multiplied by `scales`.
    func scaled(by scales: [Float]) -> RoundingLoss {
        var loss = self
        loss.columns = zip(columns, scales).map { $0 * $1 }
        loss.rows = rows.map { row in zip(row, scales).map { $0 * $1 } }
        return loss
    }

    /// The share of the loss that a change must spare to be made: the estimate is a rough one, and ordinary models stay as they are.
    static let leastGain = 0.2
    /// A column that is not the checkpoint's: its inputs and weights are zero.
    static let zeroColumn = -1

    /// Returns the loss with the columns in `order`, by default their own.
    func callAsFunction(_ x: InputSample, order: [Int]? = nil) -> Double {
        let order = order ?? Array(columns.indices), sum = ofWeights(x, order)
        return withInputs ? sum + ofInputs(x, order) : sum
    }

    private func ofWeights(_ x: InputSample, _ order: [Int]) -> Double {
        let gains = order.map { $0 < 0 ? 0 : x.rootMeanSquares[$0] * x.rootMeanSquares[$0] }
        var sum = 0.0
        for row in rows {
            for first in stride(from: 0, to: order.count, by: group) {
                let places = first..<min(first + group, order.count)
                let step = places.reduce(0) { order[$1] < 0 ? $0 : max($0, abs(row[order[$1]])) } / steps
                guard step > 0 else { continue }
                var loss: Float = 0
                for place in places where order[place] >= 0 {
                    let code = row[order[place]] / step
                    let error = code - code.rounded()
                    loss += error * error * gains[place]
                }
                sum += Double(step * step * loss)
            }
        }
        return sum * Double(x.elements.count / x.columns) / Double(max(1, rows.count))
    }

    private func ofInputs(_ x: InputSample, _ order: [Int]) -> Double {
        let unit = TensorEncoding.blockColumns
        var sum = 0.0
        var squares = [Float](repeating: 0, count: unit)
        for first in stride(from: 0, to: order.count, by: unit) {
            let block = order[first..<min(first + unit, order.count)].filter { $0 >= 0 }
            let gains = block.map { columns[$0] * columns[$0] }
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

    /// Powers of two by which columns of x are divided and those of the matrix multiplied, nil if all are 1, and the loss then.
    typealias Scaling = (factors: [Float]?, loss: Double)

    /// Returns the best scaling of the first `count` columns by their own loss; it is 1 for all if that is not lessened enough.
    func scaling(of x: InputSample, count: Int) -> Scaling {
        let own = Array(0..<count)
        var best: Scaling = (nil, self(x, order: own))
        var least = best.loss * (1 - Self.leastGain)
        let sizes = x.rootMeanSquares
        let kept = (0..<count).filter { sizes[$0] > 0 && columns[$0] > 0 }
        let targets: [(Float, Float) -> Float] = [
            { ($0 / $1).squareRoot() }, { 1 / $1 }, { x, _ in x }, { ($0 * ($0 / $1).squareRoot()).squareRoot() },
            { (($0 / $1).squareRoot() / $1).squareRoot() },
        ]
        for target in targets {
            let wanted = kept.map { target(sizes[$0], columns[$0]) }
            let middle = wanted.median
            var scales = [Float](repeating: 1, count: columns.count)
            for (k, value) in zip(kept, wanted) {
                let exponent = (value / middle * Float(2).squareRoot()).exponent  // of the nearest power of two
                scales[k] = Float(sign: .plus, exponent: Int(max(-10, min(10, exponent))), significand: 1)
            }
            let loss = scaled(by: scales)(x.map { $1 / scales[$0] }, order: own)
            if loss < least { (best, least) = ((Array(scales[..<count]), loss), loss) }
        }
        return best
    }

    /// Returns the scaling of `second` and true if the first `count` columns lose much less with it, scaled, than those of `first`,
    /// also scaled; otherwise that of `first`.
    func betterScaling(of first: InputSample, or second: InputSample, count: Int) -> (scaling: Scaling, isSecond: Bool)
    {
        let plain = scaling(of: first, count: count)
        guard first.elements != second.elements else { return (plain, false) }
        let changed = scaling(of: second, count: count)
        return changed.loss < plain.loss * (1 - Self.leastGain) ? (changed, true) : (plain, false)
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
