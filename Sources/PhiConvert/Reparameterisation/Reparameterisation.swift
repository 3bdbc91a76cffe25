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
/// - The MLP's channels are permuted, so that large ones share blocks, and where that is much better, zero channels are added, so
///   that the largest have a short block of their own.
///
/// Channels' constants always move; all else is done only where ``RoundingLoss`` says that it helps much, by the loss of the columns
/// concerned: larger ones that another change removes must not hide it. Ordinary models stay as they are, bit by bit.
struct Reparameterisation {
    /// Powers of two by which the norm's outputs are divided, [hidden].
    private let inputScales: [Float]
    /// Powers of two by which values are divided, and what is taken from them first, [key size]; empty for the head.
    private var valueScales: [Float] = [], valueShifts: [Float] = []
    /// What is taken from the MLP's channels, [intermediate]; empty for the head.
    private var channelShifts: [Float] = []
    /// The places of the MLP's channels; nil for the head.
    private var layout: ChannelLayout?
    private var keySize = 0, headSize = 1, querySize = 0, group = 1
    /// The bias in front of attention and the MLP, or the head's, and that of the channels in the checkpoint's order.
    private var firstBias: [Float], channelBias: [Float] = []
    private(set) var outputBias: [Float] = []
    /// The norm's weight and bias.
    private(set) var normWeight, normBias: [Float]
    /// Largest ratios of the inputs' columns in a block before and after.
    let inputRatio: ActivationRatio
    /// Sizes of the output projection's inputs before and after, [query + intermediate], in the checkpoint's order.
    private var outputSizes: (before: [Float], after: [Float]) = ([], [])
    private let changesInputs: Bool

    /// The smallest input from which on GELU is the identity in f32.
    private static let linearFrom: Float = 6
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
    /// Chooses the change of the matrix behind a norm, and of a block's output projection if there is one, from the weights and from
    /// samples of their inputs: drawn by the weights and, if they are given, measured ones.
    init(
        _ matrix: PlannedMatrix, _ output: PlannedMatrix?, of checkpoint: CheckpointModel,
        inputs: InputSample? = nil, outputInputs: InputSample? = nil
    ) throws(FormatError) {
        guard let norm = try checkpoint.norm(of: matrix) else {
            preconditionFailure("\(matrix.section) has no layer norm")
        }
        (normWeight, normBias) = norm
        firstBias = try checkpoint.bias(of: matrix)
        let columns = matrix.columns
        let x = inputs ?? InputSample(InputSample.drawn(means: normBias, deviations: normWeight), columns: columns)
        let means = inputs?.means ?? normBias
        let variances = inputs?.variances ?? normWeight.map { $0 * $0 }
        let middle = x.rootMeanSquares.median
        let shifts = means.map { abs($0) > 4 * middle ? $0 : 0 }
        let rows = try RowSums(matrix, of: checkpoint, means, variances, normWeight, normBias, shifts)

        let loss = try RoundingLoss(matrix, of: checkpoint, columns: rows.columns, withInputs: output != nil)
        let moved = x.map { $1 - shifts[$0] }
        let choice = loss.betterScaling(of: x, or: moved, count: columns)
        let moves = choice.isSecond, scales = choice.scaling.factors
        inputScales = scales ?? means.map { _ in 1 }
        changesInputs = scales != nil
        inputRatio = ActivationRatio(
            x.rootMeanSquares, zip((moves ? moved : x).rootMeanSquares, inputScales).map { $0 / $1 })
        for k in normWeight.indices {
            normWeight[k] /= inputScales[k]
            normBias[k] = (normBias[k] - (moves ? shifts[k] : 0)) / inputScales[k]
        }
        let bounds = zip(rows.bounds, firstBias).map { $0 + $1 }
        let rowMeans = zip(rows.means, firstBias).map { $0 + $1 }
        let deviations = rows.variances.map { $0.squareRoot() }
        if moves { for row in firstBias.indices { firstBias[row] += rows.shifts[row] } }
        guard let output else { return }
        let config = checkpoint.config
        (keySize, headSize, querySize) = (config.keySize, config.headSize, config.querySize)
        group = config.heads / config.kvHeads
        // A channel that is large for few tokens may be small for all of the text's.
        let elements = drawn(rowMeans, deviations).elements + (outputInputs?.elements ?? [])
        try chooseOutput(
            output, of: checkpoint, InputSample(elements, columns: output.columns),
            bounds: bounds[(querySize + 2 * keySize)...], isZero: rows.isZero[(querySize + 2 * keySize)...])
        centreKeys(rowMeans, deviations, rotated: config.rotaryDimensions)
    }

    /// The output projection's inputs for outputs of the input projection that have these means and deviations: attention as
    /// if each query saw its own position only.
    private func drawn(_ means: [Float], _ deviations: [Float]) -> InputSample {
        let firstValue = querySize + keySize, firstChannel = firstValue + keySize
        let rows = (0..<querySize).map { firstValue + valueRow($0) } + Array(firstChannel..<means.count)
        let elements = InputSample.drawn(means: rows.map { means[$0] }, deviations: rows.map { deviations[$0] })
        return InputSample(elements, columns: rows.count).map { $0 < querySize ? $1 : max(0, $1) }
    }

    private mutating func chooseOutput(
        _ output: PlannedMatrix, of checkpoint: CheckpointModel, _ x: InputSample, bounds: ArraySlice<Float>,
        isZero: ArraySlice<Bool>
    ) throws(FormatError) {
        var loss = try RoundingLoss(
            output, of: checkpoint, columns: checkpoint.columnRootMeanSquares(of: output))
        let sizes = x.rootMeanSquares
        // A dimension's shift and scale are those of the first query head that reads it.
        let readers = (0..<keySize).map { $0 / headSize * group * headSize + $0 % headSize }
        let middle = readers.map { sizes[$0] }.median
        valueShifts = readers.map { sizes[$0] > 4 * middle ? x.means[$0] : 0 }
        channelShifts = zip(bounds, isZero).map { bound, isZero in
            bound > 2 * Self.linearFrom ? (isZero ? bound : bound - Self.linearFrom) : 0
        }
        let channelsMoved = x.map { $0 < querySize ? $1 : $1 - shift($0) }
        let valuesMoved = channelsMoved.map { $0 < querySize ? $1 - shift($0) : $1 }
        let choice = loss.betterScaling(of: channelsMoved, or: valuesMoved, count: querySize)
        if !choice.isSecond { valueShifts = valueShifts.map { _ in 0 } }
        var changed = choice.isSecond ? valuesMoved : channelsMoved
        valueScales = [Float](repeating: 1, count: keySize)
        if let scales = choice.scaling.factors {
            let values = readers.map { scales[$0] }
            let factors = loss.columns.indices.map { $0 < querySize ? values[valueRow($0)] : 1 }
            let scaled = changed.map { $1 / factors[$0] }, scaledLoss = loss.scaled(by: factors)
            let own = Array(0..<querySize)
            if scaledLoss(scaled, order: own) < loss(changed, order: own) {
                (valueScales, changed, loss) = (values, scaled, scaledLoss)
            }
        }
        layout = ChannelLayout(changed, from: querySize, loss)
        outputSizes = (sizes, changed.rootMeanSquares)
        try moveBiases(output, of: checkpoint)
    }

    /// Brings the biases of both projections to the new values and channels.
    private mutating func moveBiases(_ output: PlannedMatrix, of checkpoint: CheckpointModel) throws(FormatError) {
        let firstValue = querySize + keySize
        for d in 0..<keySize {
            firstBias[firstValue + d] = (firstBias[firstValue + d] - valueShifts[d]) / valueScales[d]
        }
        channelBias = zip(firstBias[(firstValue + keySize)...], channelShifts).map { $0 - $1 }
        firstBias.removeSubrange((firstValue + keySize)...)
        outputBias = try checkpoint.bias(of: output)
        let shifted = (0..<output.columns).filter { shift($0) != 0 }
        guard !shifted.isEmpty else { return }
        var biases = outputBias
        try checkpoint.forEachRow(of: output) { row, weights in
            biases[row] = Float(
                shifted.reduce(Double(biases[row])) { $0 + Double(weights[$1]) * Double(shift($1)) })
        }
        outputBias = biases
    }

    private mutating func centreKeys(_ means: [Float], _ deviations: [Float], rotated: Int) {
        let keys = querySize..<querySize + keySize
        let sizes = keys.map { (means[$0] * means[$0] + deviations[$0] * deviations[$0]).squareRoot() }
        let middle = sizes.median
        for (d, row) in keys.enumerated() where d % headSize >= rotated && sizes[d] > 4 * middle {
            firstBias[row] -= means[row]
        }
    }

    /// What is taken from a column of the output projection's inputs.
    private func shift(_ column: Int) -> Float {
        column < querySize ? valueShifts[valueRow(column)] : channelShifts[column - querySize]
    }

    /// The row of the values that a column of the dense matrix reads.
    private func valueRow(_ column: Int) -> Int { column / headSize / group * headSize + column % headSize }
}

extension Reparameterisation {
    /// Whether the block gains much if the model gets the channels that ``ChannelLayout/added(attention:channels:)`` allows.
    var needsMoreChannels: Bool { layout?.needsMore ?? false }

    mutating func addChannels(_ count: Int) { layout?.add(count) }

    var inputBias: [Float] {
        firstBias + (layout?.order.map { $0 < 0 ? 0 : channelBias[$0] } ?? [])
    }

    /// As `inputRatio` of the output projection; nil for the head.
    var outputRatio: ActivationRatio? {
        layout.map { layout in
            let after = outputSizes.after
            return ActivationRatio(
                outputSizes.before,
                after[..<querySize] + layout.order.map { $0 < 0 ? 0 : after[querySize + $0] })
        }
    }

    /// Reads `range` of a matrix's rows with the change made, as ``CheckpointModel/read(_:of:into:)`` does without.
    func read(
        _ range: Range<Int>, of matrix: PlannedMatrix, from checkpoint: CheckpointModel, into out: FloatBuffer
    ) throws(FormatError) {
        let columns = matrix.columns
        guard matrix.norm == nil else {
            try readInput(range, of: matrix, from: checkpoint, into: out)
            let values = matrix.rows - (layout?.order.count ?? 0) - keySize..<matrix.rows - (layout?.order.count ?? 0)
            if !changesInputs && valueScales.allSatisfy({ $0 == 1 }) { return }
            for row in range {
                let weights = out.elements((row - range.lowerBound) * columns, columns)
                let factor = values.contains(row) ? 1 / valueScales[row - values.lowerBound] : 1
                for k in 0..<columns { weights[k] *= inputScales[k] * factor }
            }
            return
        }
        try checkpoint.read(range, of: matrix, into: out)
        guard let layout, layout.isChanged || valueScales.contains(where: { $0 != 1 }) else { return }
        var channels = [Float](repeating: 0, count: channelShifts.count)
        for row in 0..<range.count {
            let weights = out.elements(row * columns, columns)
            for column in 0..<querySize { weights[column] *= valueScales[valueRow(column)] }
            for channel in channels.indices { channels[channel] = weights[querySize + channel] }
            for (place, channel) in layout.order.enumerated() {
                weights[querySize + place] = channel < 0 ? 0 : channels[channel]
            }
        }
    }

    /// Reads rows of the matrix behind the norm, the MLP's channels in their places.
    private func readInput(
        _ range: Range<Int>, of matrix: PlannedMatrix, from checkpoint: CheckpointModel, into out: FloatBuffer
    ) throws(FormatError) {
        guard let order = layout?.order, let module = matrix.modules.last else {
            return try checkpoint.read(range, of: matrix, into: out)
        }
        let firstChannel = matrix.rows - order.count
        let plain = range.clamped(to: 0..<firstChannel)
        if !plain.isEmpty { try checkpoint.read(plain, of: matrix, into: out) }
        var row = max(range.lowerBound, firstChannel)
        while row < range.upperBound {
            // As many rows as follow each other in the checkpoint.
            let channel = order[row - firstChannel]
            var count = 1
            while row + count < range.upperBound, channel >= 0, order[row + count - firstChannel] == channel + count {
                count += 1
            }
            let place = out.elements((row - range.lowerBound) * matrix.columns, count * matrix.columns)
            if channel < 0 {
                place.update(repeating: 0)
            } else {
                try checkpoint.readFinite(.weight(module), channel..<channel + count, into: place)
            }
            row += count
        }
    }
}
