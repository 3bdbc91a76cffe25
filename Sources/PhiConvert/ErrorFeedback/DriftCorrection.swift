import Phi
import PhiFormat

/// The correction of a matrix for the rounding of matrices before it (GPTAQ, arXiv 2504.02692).
///
/// Its inputs x are not the e that they would be if nothing had been rounded. The W' that gives W e from x with the least squared
/// error, over all inputs, is W + W C H⁻¹ with C the sum of (e - x) xᵀ and H that of x xᵀ; error feedback then rounds W' instead
/// of W. C and H, damped, are known as far as they are in blocks on the diagonal.
package final class DriftCorrection {
    private let blocks: [Range<Int>]
    /// The transpose of each block's share * C H⁻¹ as tiles in q8, where the block's rows of C were, and what multiplies them. The
    /// correction is small beside the matrix, so 8 bits are exact enough.
    private let gains: FloatBuffer
    private let scales: [Float]
    private let product: FloatProduct
    private let width, blockWidth: Int

    /// The share of the correction that is made: on a trained model all of it is no better, and worse where inputs are few.
    private static let share: Float = 0.75

    /// Takes over the memory of `drift`, C. Nil if a gain is not finite.
    init?(_ drift: FloatBuffer, _ blocks: [Range<Int>], _ feedback: ErrorFeedback, _ product: FloatProduct) {
        self.blocks = blocks
        self.product = product
        gains = drift
        width = feedback.importance.count
        blockWidth = feedback.blockWidth
        var scales: [Float] = []
        for block in blocks {
            let rows = drift.elements(block.lowerBound * feedback.blockWidth, block.count * feedback.blockWidth)
            BlockSolver(feedback, block, product).solve(rows)
            guard let scale = Self.encode(rows, count: block.count, stride: feedback.blockWidth, product) else {
                return nil
            }
            scales.append(scale)
        }
        self.scales = scales
    }

    /// Replaces C H⁻¹ of a block, [count][stride], by its gain's tiles and returns what multiplies these; nil if it is not finite.
    private static func encode(
        _ rows: UnsafeMutableBufferPointer<Float>, count: Int, stride: Int, _ product: FloatProduct
    ) -> Float? {
        let transpose = FloatBuffer(count * count), side = 64
        var largest: Float = 0, sum: Float = 0
        for row in 0..<count {
            for x in rows[row * stride..<row * stride + count] { (largest, sum) = (max(largest, abs(x)), sum + 0 * x) }
        }
        guard sum == 0 else { return nil }
        // A power of two brings the scales of tiles, 16-bit floats, near 1.
        let scale = largest > 0 ? Float(sign: .plus, exponent: largest.exponent - 7, significand: 1) : 1
        let factor = share / scale
        for top in Swift.stride(from: 0, to: count, by: side) {  // in bands that a cache holds
            for j in 0..<count {
                for i in top..<min(top + side, count) { transpose.base[j * count + i] = factor * rows[i * stride + j] }
            }
        }
        let encoder = TileEncoder(.q8, product.kernels, product.threads, rows: count, columns: count)
        _ = encoder.encode(transpose, rows: count)
        encoder.withTiles { UnsafeMutableRawBufferPointer(rows).copyMemory(from: $0) }
        return scale
    }

    /// Corrects `count` rows of `weights`, [count][width].
    package func apply(to weights: FloatBuffer, rows count: Int) {
        let before = FloatBuffer(count * blockWidth), changes = FloatBuffer(count * blockWidth)
        for (block, scale) in zip(blocks, scales) {
            let columns = block.count
            for row in 0..<count {
                before.copy(weights, row * width + block.lowerBound, to: row * blockWidth, count: columns)
                (before.base + row * blockWidth + columns).update(repeating: 0, count: blockWidth - columns)
            }
            product.run(
                quantising: FloatProduct.Rows(start: before.base, stride: blockWidth, count: count),
                by: gains.base + block.lowerBound * blockWidth, rows: columns, columns: columns,
                into: FloatProduct.Output(start: changes.base, stride: blockWidth))
            for row in 0..<count {
                let to = weights.elements(row * width + block.lowerBound, columns)
                let change = changes.elements(row * blockWidth, columns)
                for k in 0..<columns { to[k] += scale * change[k] }
            }
        }
    }
}

/// Solves y H = c for a block of H = U D Uᵀ, where U = F + 1, a panel of columns at a time.
private struct BlockSolver {
    private let feedback: ErrorFeedback
    private let importance: UnsafeMutableBufferPointer<Float>  // D, [count]
    private let first, stride, count: Int
    private let product: FloatProduct
    private let products: FloatBuffer  // [count][panel]
    private static let panel = ErrorFeedback.panel

    init(_ feedback: ErrorFeedback, _ block: Range<Int>, _ product: FloatProduct) {
        self.feedback = feedback
        first = block.lowerBound
        stride = feedback.blockWidth
        count = block.count
        importance = feedback.importance.elements(block.lowerBound, count)
        self.product = product
        products = FloatBuffer(count * Self.panel)
    }

    /// F[row][column] of the block's rows and columns.
    private func factor(_ row: Int, _ column: Int) -> Float { feedback.factor(first + row, first + column) }

    /// Replaces each of the `count` rows of c, [count][stride], by its y.
    func solve(_ c: UnsafeMutableBufferPointer<Float>) {
        let panels = Swift.stride(from: 0, to: count, by: Self.panel).map { $0..<min($0 + Self.panel, count) }
        let inverses = panels.map(inverse)
        // z Uᵀ = c from the last columns to the first, and of that z / D.
        for (panel, inverse) in zip(panels, inverses).reversed() {
            let later = panel.upperBound..<count
            update(c, panel, -=, sumOver: later) { p, j in
                factor(panel.lowerBound + p, later.lowerBound + j) * importance[later.lowerBound + j]
            }
            update(c, panel, { $0 = $1 }, sumOver: panel) { p, k in
                inverse[p * panel.count + k] / importance[panel.lowerBound + p]
            }
        }
        // y U = z / D from the first to the last.
        for (panel, inverse) in zip(panels, inverses) {
            update(c, panel, -=, sumOver: 0..<panel.lowerBound) { p, j in factor(j, panel.lowerBound + p) }
            update(c, panel, { $0 = $1 }, sumOver: panel) { p, k in inverse[k * panel.count + p] }
        }
    }

    /// Applies `operation` to each c[i][p] of the panel and the sum over `columns` of c[i][j] * weight(p, j).
    private func update(
        _ c: UnsafeMutableBufferPointer<Float>, _ panel: Range<Int>, _ operation: (inout Float, Float) -> Void,
        sumOver columns: Range<Int>, weight: (Int, Int) -> Float
    ) {
        guard let start = c.baseAddress, !columns.isEmpty else { return }
        let matrix = FloatBuffer(panel.count * columns.count)
        for p in 0..<panel.count {
            for j in 0..<columns.count { matrix.base[p * columns.count + j] = weight(p, j) }
        }
        product.run(
            FloatProduct.Rows(start: UnsafePointer(start + columns.lowerBound), stride: stride, count: count),
            by: matrix, rows: panel.count, columns: columns.count,
            into: FloatProduct.Output(start: products.base, stride: Self.panel))
        for i in 0..<count {
            for p in 0..<panel.count {
                operation(&c[i * stride + panel.lowerBound + p], products.base[i * Self.panel + p])
            }
        }
    }

    /// The inverse of the panel's own part of U, [panel][panel], in double precision on the way.
    private func inverse(_ panel: Range<Int>) -> [Float] {
        let n = panel.count
        var u = [Double](repeating: 0, count: n * n)
        for row in 0..<n {
            u[row * n + row] = 1
            for column in row + 1..<n {
                u[row * n + column] = Double(factor(panel.lowerBound + row, panel.lowerBound + column))
            }
        }
        return inverseOfUpperTriangle(u, n).map { Float($0) }
    }
}
