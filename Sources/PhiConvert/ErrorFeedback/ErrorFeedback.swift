import CPhiKernels
import Phi
import PhiFormat

/// Error feedback of a matrix's columns: each column compensates the rounding errors of the columns before it (GPTQ, arXiv
/// 2210.17323, in the form that arXiv 2307.13304 calls LDLQ).
///
/// Let H be the sum of x xᵀ over the matrix's inputs, as far as it is in blocks on the diagonal, a little added to the diagonal,
/// and H = (F + 1) D (F + 1)ᵀ with F strictly upper triangular and D diagonal. Errors E = W - stored change the outputs by the
/// sum over rows and columns k of D[k] (E[k] + sum over j < k of E[j] F[j][k])², so if column k aims at W[k] + that sum, each
/// square is as small as rounding can make it, with D as its weight.
package final class ErrorFeedback {
    /// Columns of a block.
    package let blockWidth: Int
    /// F above the diagonal as the kernels read it: for each group of 16 columns, their part of each row of their block,
    /// [width / 16][blockWidth][16].
    let factors: FloatBuffer
    /// D, [width]; all positive.
    package let importance: FloatBuffer

    /// The correction for the drift of the inputs; nil if the drift is not known.
    package private(set) var correction: DriftCorrection?

    private let product: FloatProduct

    /// Columns that are eliminated together.
    static let panel = 64
    /// Columns whose factors are side by side.
    private static let group = Int(PHI_GROUP)
    /// The number of attempts at a factorisation, each with ten times as much added to the diagonal.
    private static let dampings = 5
    /// What an element of the diagonal counts in its mean at most, as a multiple of the median: outlying columns would otherwise damp
    /// the feedback of all others.
    private static let largestInMean: Float = 300

    /// Factors `moments`, which it finishes and whose memory it takes over; nil if they are not finite. `damping` is added to the
    /// diagonal as a share of its mean: more for sums over few inputs, which generalise less.
    package init?(_ moments: InputMoments, damping: Float = 0.01, kernels: Kernels, threads: Int32) {
        moments.finish()
        product = FloatProduct(kernels: kernels, threads: threads)
        blockWidth = moments.blockWidth
        factors = moments.sums
        importance = FloatBuffer(moments.width)
        for block in moments.blocks {
            let sums = factors.elements(block.lowerBound * blockWidth, block.count * blockWidth)
            guard factoriseBlock(sums, importance.elements(block.lowerBound, block.count), damping) else {
                return nil
            }
            groupColumns(of: block)
        }
        if let drift = moments.drift {
            guard let correction = DriftCorrection(drift, moments.blocks, self, product) else { return nil }
            self.correction = correction
        }
    }

    /// F[row][column], of the same block and above its diagonal.
    package func factor(_ row: Int, _ column: Int) -> Float { factors.base[place(row, column)] }

    private func place(_ row: Int, _ column: Int) -> Int {
        (column / Self.group * blockWidth + row % blockWidth) * Self.group + column % Self.group
    }

    /// Brings a block's F from rows, [columns][blockWidth], to the kernels' order.
    private func groupColumns(of block: Range<Int>) {
        let rows = FloatBuffer(block.count * blockWidth)
        rows.copy(factors, block.lowerBound * blockWidth, to: 0, count: rows.count)
        for first in stride(from: 0, to: block.count, by: Self.group) {
            let count = min(Self.group, block.count - first)
            for row in 0..<first + count {
                let to = factors.base + place(row, block.lowerBound + first)
                to.update(from: rows.base + row * blockWidth + first, count: count)
            }
        }
    }

    /// Replaces the sums of a block's columns, [columns][blockWidth], by its F; false when they are not finite.
    private func factoriseBlock(
        _ h: UnsafeMutableBufferPointer<Float>, _ importance: UnsafeMutableBufferPointer<Float>, _ damping: Float
    ) -> Bool {
        let count = importance.count
        // The elements below the diagonal are a copy for the next attempt.
        forEachAboveDiagonal(count) { above, below in h[below] = h[above] }
        let diagonal = (0..<count).map { h[$0 * blockWidth + $0] }
        let sum = diagonal.reduce(0) { $0 + Double($1) }
        guard sum.isFinite else { return false }
        let most = Self.largestInMean * diagonal.median
        let counted = most > 0 ? diagonal.map { min($0, most) } : diagonal
        let mean = sum > 0 ? Float(counted.reduce(0) { $0 + Double($1) } / Double(count)) : 1
        var added = damping * mean
        for _ in 0..<Self.dampings {
            for row in 0..<count { h[row * blockWidth + row] = diagonal[row] + added }
            if factorise(h, importance) { return true }
            forEachAboveDiagonal(count) { above, below in h[above] = h[below] }
            added *= 10
        }
        return false
    }

    /// Calls `body` with the places of each element above a block's diagonal and of its mirror image, in squares that a cache holds.
    private func forEachAboveDiagonal(_ count: Int, _ body: (Int, Int) -> Void) {
        for top in stride(from: 0, to: count, by: Self.panel) {
            for left in stride(from: top, to: count, by: Self.panel) {
                for row in top..<min(top + Self.panel, count) {
                    for column in max(left, row + 1)..<max(row + 1, min(left + Self.panel, count)) {
                        body(row * blockWidth + column, column * blockWidth + row)
                    }
                }
            }
        }
    }

    /// H = R Rᵀ with R upper triangular, from the last columns to the first, then F and D from R; false if H is not
    /// positive definite.
    private func factorise(
        _ h: UnsafeMutableBufferPointer<Float>, _ importance: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        let width = importance.count
        let panels = (width + Self.panel - 1) / Self.panel
        let products = FloatBuffer(width * Self.panel)
        for first in (0..<panels).reversed().map({ $0 * Self.panel }) {
            let end = min(first + Self.panel, width)
            if end < width {
                let rows = FloatBuffer((end - first) * (width - end))
                for row in first..<end {
                    _ = rows.elements((row - first) * (width - end), width - end)
                        .update(fromContentsOf: h[row * blockWidth + end..<row * blockWidth + width])
                }
                multiply(h, column: end, by: rows, rows: end - first, columns: width - end, into: products, count: end)
                for row in 0..<end {
                    for column in max(first, row)..<end {
                        h[row * blockWidth + column] -= products.base[row * Self.panel + column - first]
                    }
                }
            }
            guard let inverse = factoriseDiagonal(h, first..<end) else { return false }
            if first > 0 {
                multiply(
                    h, column: first, by: inverse, rows: end - first, columns: end - first, into: products, count: first
                )
                for row in 0..<first {
                    _ = h[row * blockWidth + first..<row * blockWidth + end]
                        .update(fromContentsOf: products.elements(row * Self.panel, end - first))
                }
            }
        }
        let pivots = (0..<width).map { h[$0 * blockWidth + $0] }
        for (column, pivot) in pivots.enumerated() {
            importance[column] = pivot * pivot
            guard importance[column] > 0, importance[column].isFinite else { return false }
        }
        for row in 0..<width {
            for column in row + 1..<width { h[row * blockWidth + column] /= pivots[column] }
        }
        return true
    }

    /// The same for a panel's own square, in double precision; returns the inverse of its R, or nil if a pivot is not
    /// positive.
    private func factoriseDiagonal(_ h: UnsafeMutableBufferPointer<Float>, _ range: Range<Int>) -> FloatBuffer? {
        let n = range.count
        var r = [Double](repeating: 0, count: n * n)
        for row in 0..<n {
            for column in row..<n {
                r[row * n + column] = Double(h[(range.lowerBound + row) * blockWidth + range.lowerBound + column])
            }
        }
        for column in (0..<n).reversed() {
            for row in (0...column).reversed() {
                var sum = r[row * n + column]
                for k in column + 1..<n { sum -= r[row * n + k] * r[column * n + k] }
                if row == column {
                    guard sum > 0 else { return nil }
                    r[row * n + column] = sum.squareRoot()
                } else {
                    r[row * n + column] = sum / r[column * n + column]
                }
            }
        }
        let inverse = inverseOfUpperTriangle(r, n)
        for row in 0..<n {
            for column in row..<n {
                h[(range.lowerBound + row) * blockWidth + range.lowerBound + column] = Float(r[row * n + column])
            }
        }
        let result = FloatBuffer(n * n)
        _ = result.elements(0, n * n).update(fromContentsOf: inverse.map { Float($0) })
        return result
    }

    /// out[i][j] = sum over k of h[i][column + k] * matrix[j][k], for i below `count`; a row of out has a panel's columns.
    private func multiply(
        _ h: UnsafeMutableBufferPointer<Float>, column: Int, by matrix: FloatBuffer, rows: Int, columns: Int,
        into out: FloatBuffer, count: Int
    ) {
        guard let start = h.baseAddress else { return }
        product.run(
            FloatProduct.Rows(start: UnsafePointer(start + column), stride: blockWidth, count: count), by: matrix,
            rows: rows, columns: columns, into: FloatProduct.Output(start: out.base, stride: Self.panel))
    }
}

/// The inverse of an upper triangular matrix, [n][n].
func inverseOfUpperTriangle(_ r: [Double], _ n: Int) -> [Double] {
    var inverse = [Double](repeating: 0, count: n * n)
    for column in 0..<n {
        for row in (0...column).reversed() {
            var sum = row == column ? 1.0 : 0
            for k in row + 1..<column + 1 { sum -= r[row * n + k] * inverse[k * n + column] }
            inverse[row * n + column] = sum / r[row * n + row]
        }
    }
    return inverse
}
