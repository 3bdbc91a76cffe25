import Phi
import PhiCheckpoint
import PhiFormat

/// A change of a block's parameters, or of the head's, that leaves its outputs as they are in exact arithmetic, and after which
/// rounding loses less: columns of inputs that are many times larger than others would leave these few steps of an 8-bit scale.
///
/// - What is constant in an input moves into the bias behind it: of a norm's outputs, of values (attention's weights sum to 1), and
///   of channels of the MLP that lie where GELU is the identity for any input. What is constant in dimensions of keys that
///   are not rotated vanishes in the softmax.
/// - A norm's outputs and values are divided by powers of two, and the weights behind them multiplied.
/// - The MLP's channels are permuted, so that large ones share blocks.
///
/// Each is done only where ``RoundingLoss`` says that it helps much; ordinary models stay as they are, bit by bit.
struct Reparameterisation {
    /// Powers of two by which the norm's outputs are divided, [hidden].
    private var inputScales: [Float]
    /// What is taken from the norm's outputs first, [hidden].
    private var inputShifts: [Float]
    /// Powers of two by which values are divided, and what is taken from them first, [key size]; empty for the head.
    private var valueScales: [Float] = [], valueShifts: [Float] = []
    /// What is taken from the MLP's channels, and the checkpoint's channel in each place, [intermediate]; empty for the head.
    private var channelShifts: [Float] = [], order: [Int] = []
    private var keySize = 0, headSize = 1, querySize = 0, group = 1
    private(set) var inputBias: [Float], outputBias: [Float] = []
    /// The norm's weight and bias.
    private(set) var normWeight, normBias: [Float]
    /// Largest ratios of the inputs' columns in a block before and after.
    private(set) var inputRatio: ActivationRatio, outputRatio: ActivationRatio?
    /// Whether inputs of the input projection or head, or of the output projection, are other than the checkpoint's.
    private(set) var changesInputs = false, changesOutputInputs = false
}

/// Root mean square of an activation's largest column, as a multiple of the median of its block, before a conversion's changes and
/// after.
package struct ActivationRatio: Sendable, Encodable {
    package private(set) var before, after: Float

    init(_ before: [Float], _ after: [Float]) {
        (self.before, self.after) = (before.largestBlockRatio, after.largestBlockRatio)
    }

    mutating func join(_ other: ActivationRatio) {
        (before, after) = (max(before, other.before), max(after, other.after))
    }
}

extension Reparameterisation {
    /// The smallest input from which on GELU is the identity in f32.
    private static let linearFrom: Float = 6
    /// Rows that are read at a time.
    private static let rowsAtOnce = 256

    /// Chooses the change of the matrix behind a norm, and of a block's output projection if there is one, from the weights and, if
    /// they are known, the statistics of the norm's outputs.
    init(
        _ matrix: PlannedMatrix, _ output: PlannedMatrix?, of checkpoint: CheckpointModel,
        _ statistics: InputStatistics? = nil
    ) throws(FormatError) {
        guard let norm = matrix.norm else { preconditionFailure("\(matrix.section) has no layer norm") }
        normWeight = try checkpoint.readVector(.weight(norm.module))
        normBias = try checkpoint.readVector(.bias(norm.module))
        inputBias = try checkpoint.bias(of: matrix)
        let means = statistics?.means ?? normBias
        let variances = statistics?.variances ?? normWeight.map { $0 * $0 }
        let x = zip(means, variances).map { ($0 * $0 + $1).squareRoot() }
        let middle = x.median
        let shifts = means.map { abs($0) > 4 * middle ? $0 : 0 }
        let rows = try RowSums(matrix, of: checkpoint, means, variances, normWeight, normBias, shifts)

        // Inputs.
        let loss = RoundingLoss(matrix.encoding, withInputs: output != nil)
        let before = loss(x, rows.columns)
        let moved = zip(zip(means, shifts), variances).map { (($0.0 - $0.1) * ($0.0 - $0.1) + $1).squareRoot() }
        let moves = loss(moved, rows.columns) < before * (1 - RoundingLoss.leastGain)
        let shifted = moves ? moved : x
        inputShifts = moves ? shifts : means.map { _ in 0 }
        inputScales =
            loss.scales(shifted, rows.columns, count: x.count, below: loss(shifted, rows.columns))?.scales
            ?? means.map { _ in 1 }
        changesInputs = moves || inputScales.contains { $0 != 1 }
        inputRatio = ActivationRatio(x, zip(shifted, inputScales).map { $0 / $1 })
        for k in normWeight.indices {
            normWeight[k] /= inputScales[k]
            normBias[k] = (normBias[k] - inputShifts[k]) / inputScales[k]
        }
        let means2 = zip(rows.means, inputBias).map { $0 + $1 }
        let bounds = zip(rows.bounds, inputBias).map { $0 + $1 }
        if moves { for row in inputBias.indices { inputBias[row] += rows.shifts[row] } }
        guard let output else { return }
        try chooseOutput(output, of: checkpoint, means2, rows, bounds)
    }

    private mutating func chooseOutput(
        _ output: PlannedMatrix, of checkpoint: CheckpointModel, _ means: [Float], _ rows: RowSums, _ bounds: [Float]
    ) throws(FormatError) {
        let config = checkpoint.config
        (keySize, headSize, querySize) = (config.keySize, config.headSize, config.querySize)
        group = config.heads / config.kvHeads
        let firstKey = querySize, firstValue = querySize + keySize, firstChannel = querySize + 2 * keySize
        let columns = try ColumnSums(output, of: checkpoint).rootMeanSquares
        let loss = RoundingLoss(output.encoding)

        // The inputs as they are, and without what is constant in them.
        var x = [Float](repeating: 0, count: output.columns), moved = x
        let deviations = rows.variances.map { $0.squareRoot() }
        let values = (0..<keySize).map { hypotenuse(means[firstValue + $0], deviations[firstValue + $0]) }
        let middle = values.median
        valueShifts = (0..<keySize).map { values[$0] > 4 * middle ? means[firstValue + $0] : 0 }
        channelShifts = (0..<config.intermediateSize).map { channel in
            let row = firstChannel + channel
            guard bounds[row] > 2 * Self.linearFrom else { return 0 }
            return rows.isZero[row] ? bounds[row] : bounds[row] - Self.linearFrom
        }
        for column in 0..<querySize {
            let d = valueRow(column)
            x[column] = values[d]
            moved[column] = hypotenuse(means[firstValue + d] - valueShifts[d], deviations[firstValue + d])
        }
        for channel in channelShifts.indices {
            let row = firstChannel + channel, column = querySize + channel
            x[column] = geluSize(means[row], deviations[row])
            moved[column] =
                channelShifts[channel] == 0
                ? x[column] : hypotenuse(means[row] - channelShifts[channel], deviations[row])
        }
        let shifts = loss(moved, columns) < loss(x, columns) * (1 - RoundingLoss.leastGain)
        if !shifts {
            valueShifts = valueShifts.map { _ in 0 }
            channelShifts = channelShifts.map { _ in 0 }
            moved = x
        }

        // Values: a dimension's scale is that of all query heads that share it.
        var w = columns
        valueScales = [Float](repeating: 1, count: keySize)
        var after = moved
        if let scales = loss.scales(moved, w, count: querySize, below: loss(moved, w))?.scales {
            for column in (0..<querySize).reversed() { valueScales[valueRow(column)] = scales[column] }
            for column in 0..<querySize {
                after[column] /= valueScales[valueRow(column)]
                w[column] *= valueScales[valueRow(column)]
            }
            if loss(after, w) >= loss(moved, columns) {
                (after, w, valueScales) = (moved, columns, valueScales.map { _ in 1 })
            }
        }
        let best = loss.order(after, w, from: querySize)
        order = best ?? Array(channelShifts.indices)
        let channels = Array(after[querySize...])
        after.replaceSubrange(querySize..., with: order.map { channels[$0] })
        outputRatio = ActivationRatio(x, after)
        changesOutputInputs = shifts || best != nil || valueScales.contains { $0 != 1 }

        try finishBiases(output, of: checkpoint, means, deviations, firstKey, firstValue, firstChannel)
    }

    /// Brings the biases of both projections to the new parameters.
    private mutating func finishBiases(
        _ output: PlannedMatrix, of checkpoint: CheckpointModel, _ means: [Float], _ deviations: [Float],
        _ firstKey: Int, _ firstValue: Int, _ firstChannel: Int
    ) throws(FormatError) {
        let sizes = (0..<keySize).map { hypotenuse(means[firstKey + $0], deviations[firstKey + $0]) }
        let middle = sizes.median
        for d in 0..<keySize {
            if d % headSize >= checkpoint.config.rotaryDimensions, sizes[d] > 4 * middle {
                inputBias[firstKey + d] -= means[firstKey + d]
            }
            inputBias[firstValue + d] = (inputBias[firstValue + d] - valueShifts[d]) / valueScales[d]
        }
        let channels = inputBias[firstChannel...].enumerated().map { $1 - channelShifts[$0] }
        inputBias.replaceSubrange(firstChannel..., with: order.map { channels[$0] })
        outputBias = try checkpoint.bias(of: output)
        let shifts = (0..<querySize).map { valueShifts[valueRow($0)] } + channelShifts
        let shifted = shifts.indices.filter { shifts[$0] != 0 }
        guard !shifted.isEmpty else { return }
        let buffer = FloatBuffer(Self.rowsAtOnce * output.columns)
        for first in stride(from: 0, to: output.rows, by: Self.rowsAtOnce) {
            let range = first..<min(first + Self.rowsAtOnce, output.rows)
            try checkpoint.read(range, of: output, into: buffer)
            for row in range {
                let weights = buffer.elements((row - first) * output.columns, output.columns)
                let sum = shifted.reduce(Double(outputBias[row])) { $0 + Double(weights[$1]) * Double(shifts[$1]) }
                outputBias[row] = Float(sum)
            }
        }
    }

    private func hypotenuse(_ a: Float, _ b: Float) -> Float { (a * a + b * b).squareRoot() }

    /// Roughly the root mean square of GELU's outputs for inputs of this mean and deviation.
    private func geluSize(_ mean: Float, _ deviation: Float) -> Float {
        if mean >= 0 { return (mean * mean + deviation * deviation / 2).squareRoot() }
        let distance = deviation > 0 ? mean / deviation : 0
        return (deviation * deviation / 2 / (1 + 2 * distance * distance)).squareRoot()
    }

    /// The row of the values that a column of the dense matrix reads.
    private func valueRow(_ column: Int) -> Int { column / headSize / group * headSize + column % headSize }
}

extension Reparameterisation {
    /// Reads `range` of a matrix's rows with the change made, as ``CheckpointModel/read(_:of:into:)`` does without.
    func read(
        _ range: Range<Int>, of matrix: PlannedMatrix, from checkpoint: CheckpointModel, into out: FloatBuffer
    ) throws(FormatError) {
        let columns = matrix.columns
        guard matrix.norm == nil else {
            let firstChannel = matrix.rows - order.count, firstValue = firstChannel - valueScales.count
            let plain = range.clamped(to: 0..<firstChannel)
            try checkpoint.read(plain.isEmpty ? range : plain, of: matrix, into: out, ifAny: !plain.isEmpty)
            let moved = range.clamped(to: firstChannel..<matrix.rows)
            if !moved.isEmpty, let module = matrix.modules.last {
                var row = moved.lowerBound
                while row < moved.upperBound {
                    // As many rows as follow each other in the checkpoint.
                    let channel = order[row - firstChannel]
                    var count = 1
                    while row + count < moved.upperBound, order[row + count - firstChannel] == channel + count {
                        count += 1
                    }
                    let place = out.elements((row - range.lowerBound) * columns, count * columns)
                    try checkpoint.readFinite(.weight(module), channel..<channel + count, into: place)
                    row += count
                }
            }
            if !changesInputs && valueScales.allSatisfy({ $0 == 1 }) { return }
            for row in range {
                let weights = out.elements((row - range.lowerBound) * columns, columns)
                let isValue = row >= firstValue && row < firstChannel
                let factor = isValue ? 1 / valueScales[row - firstValue] : 1
                for k in 0..<columns { weights[k] *= inputScales[k] * factor }
            }
            return
        }
        try checkpoint.read(range, of: matrix, into: out)
        guard changesOutputInputs else { return }
        var channels = [Float](repeating: 0, count: order.count)
        for row in 0..<range.count {
            let weights = out.elements(row * columns, columns)
            for column in 0..<querySize { weights[column] *= valueScales[valueRow(column)] }
            for place in order.indices { channels[place] = weights[querySize + order[place]] }
            for place in order.indices { weights[querySize + place] = channels[place] }
        }
    }

    /// Changes rows of the norm's outputs, [count][stride], as the changed norm gives them.
    func changeInputs(_ rows: UnsafeMutablePointer<Float>, stride: Int, count: Int) {
        for row in 0..<count {
            let x = rows + row * stride
            for k in inputScales.indices { x[k] = (x[k] - inputShifts[k]) / inputScales[k] }
        }
    }

    /// Changes rows of the output projection's inputs, [count][stride], likewise.
    func changeOutputInputs(_ rows: UnsafeMutablePointer<Float>, stride: Int, count: Int) {
        var channels = [Float](repeating: 0, count: order.count)
        for row in 0..<count {
            let x = rows + row * stride
            for k in 0..<querySize {
                let d = valueRow(k)
                x[k] = (x[k] - valueShifts[d]) / valueScales[d]
            }
            for place in order.indices { channels[place] = x[querySize + order[place]] - channelShifts[order[place]] }
            for place in order.indices { x[querySize + place] = channels[place] }
        }
    }
}

extension CheckpointModel {
    fileprivate func read(
        _ range: Range<Int>, of matrix: PlannedMatrix, into out: FloatBuffer, ifAny: Bool
    ) throws(FormatError) {
        if ifAny { try read(range, of: matrix, into: out) }
    }
}
