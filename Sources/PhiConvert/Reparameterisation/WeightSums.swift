import Phi
import PhiCheckpoint
import PhiFormat

/// Sums over the rows of the matrix behind a norm, and root mean squares of its columns.
struct RowSums {
    /// Mean and variance of each output without its bias, if the inputs were independent, [rows].
    private(set) var means: [Float] = [], variances: [Float] = []
    /// The least that an output can be for any input, without its bias, [rows]: a normalised vector of n elements has a length of
    /// at most the root of n.
    private(set) var bounds: [Float] = []
    /// The product with what is taken from the inputs, [rows].
    private(set) var shifts: [Float] = []
    /// Whether all of a row's weights are zero, so that its output is constant.
    private(set) var isZero: [Bool] = []
    /// Root mean squares as multiples of their rows', each of which has scales of its own, [columns].
    private(set) var columns: [Float] = []

    init(
        _ matrix: PlannedMatrix, of checkpoint: CheckpointModel, _ means: [Float], _ variances: [Float],
        _ normWeight: [Float], _ normBias: [Float], _ shifted: [Float]
    ) throws(FormatError) {
        let count = matrix.columns, root = Float(count).squareRoot()
        let places = shifted.indices.filter { shifted[$0] != 0 }
        let lanes = (count + 15) / 16
        func padded(_ values: [Float]) -> [SIMD16<Float>] {
            (0..<lanes).map { lane in
                SIMD16((0..<16).map { 16 * lane + $0 < count ? values[16 * lane + $0] : 0 })
            }
        }
        let (mean, variance, bias) = (padded(means), padded(variances), padded(normBias))
        let gain = padded(normWeight.map { $0 * $0 })
        var squares = [SIMD16<Float>](repeating: .zero, count: lanes), rowSquares = squares
        try checkpoint.forEachRow(of: matrix) { _, start in
            var sums = (SIMD16<Float>.zero, SIMD16<Float>.zero, SIMD16<Float>.zero, SIMD16<Float>.zero)
            var rowSquare = SIMD16<Float>.zero
            for lane in 0..<lanes {
                var w = UnsafeRawPointer(start + 16 * lane).loadUnaligned(as: SIMD16<Float>.self)
                for k in 0..<max(0, 16 * (lane + 1) - count) { w[15 - k] = 0 }
                let square = w * w
                sums.0 += w * mean[lane]
                sums.1 += square * variance[lane]
                sums.2 += w * bias[lane]
                sums.3 += square * gain[lane]
                rowSquares[lane] = square
                rowSquare += square
            }
            let total = rowSquare.sum()
            if total > 0 {
                let factor = Float(count) / total
                for lane in 0..<lanes { squares[lane] += rowSquares[lane] * factor }
            }
            self.means.append(sums.0.sum())
            self.variances.append(sums.1.sum())
            // A little less than exact arithmetic's, for rounding.
            bounds.append(sums.2.sum() - 1.001 * root * sums.3.sum().squareRoot())
            isZero.append((0..<count).allSatisfy { start[$0] == 0 })
            shifts.append(Float(places.reduce(0.0) { $0 + Double(start[$1]) * Double(shifted[$1]) }))
        }
        columns = (0..<count).map { (squares[$0 / 16][$0 % 16] / Float(matrix.rows)).squareRoot() }
    }
}

extension CheckpointModel {
    /// Root mean squares of a matrix's columns, as multiples of their rows'.
    func columnRootMeanSquares(of matrix: PlannedMatrix) throws(FormatError) -> [Float] {
        let count = matrix.columns
        var squares = [Float](repeating: 0, count: count)
        try forEachRow(of: matrix) { _, start in
            let w = UnsafeBufferPointer(start: start, count: count)
            let total = w.reduce(0) { $0 + $1 * $1 }
            if total > 0 {
                let factor = Float(count) / total
                for k in 0..<count { squares[k] += w[k] * w[k] * factor }
            }
        }
        return squares.map { ($0 / Float(matrix.rows)).squareRoot() }
    }
}
