import Phi
import PhiFormat

/// The correction of a matrix for the rounding of matrices before it (GPTAQ, arXiv 2504.02692).
///
/// Its inputs x are not the e that they would be if nothing had been rounded. The W' that gives W e from x with the least squared
/// error, over all inputs, is W + W C H⁻¹ with C the sum of (e - x) xᵀ and H that of x xᵀ; error feedback then rounds W' instead
/// of W. C and H, damped, are known as far as they are in blocks on the diagonal.
package final class DriftCorrection {
    private let blocks: [Range<Int>]
    /// The transpose of each block's share * C H⁻¹, as tiles, where the block's rows of C were.
    private let gains: FloatBuffer
    private let product: FloatProduct
    private let width, blockWidth: Int

    /// The share of the correction that is made: on a trained model all of it is no better, and worse where inputs are few.
    private static let share: Float = 0.75

    /// Takes over the memory of `drift`, C: a block's tiles fill at most its rows and 16 more. Nil if a gain is not finite.
    init?(_ drift: FloatBuffer, _ blocks: [Range<Int>], _ feedback: ErrorFeedback, _ product: FloatProduct) {
        self.blocks = blocks
        self.product = product
        width = feedback.importance.count
        blockWidth = feedback.blockWidth
        gains = drift
        for block in blocks {
            let rows = drift.elements(block.lowerBound * blockWidth, block.count * blockWidth)
            BlockSolver(feedback, block, product).solve(rows)
            let transpose = FloatBuffer(block.count * block.count)
            let to = transpose.elements(0, transpose.count)
            for i in 0..<block.count {
                for j in 0..<block.count { to[j * block.count + i] = Self.share * rows[i * blockWidth + j] }
            }
            guard to.allSatisfy(\.isFinite) else { return nil }
            let encoder = TileEncoder(
                .f32, product.kernels, product.threads, rows: block.count, columns: block.count)
            _ = encoder.encode(transpose, rows: block.count)
            encoder.withTiles { tiles in
                let room = drift.elements(block.lowerBound * blockWidth, drift.count - block.lowerBound * blockWidth)
                UnsafeMutableRawBufferPointer(room).copyMemory(from: tiles)
            }
        }
    }

    /// Corrects `count` rows of `weights` from `start` on, [count][width].
    package func apply(to weights: FloatBuffer, at start: Int = 0, rows count: Int) {
        // A row is read up to a multiple of 64.
        let before = FloatBuffer(count * width + 64), change = FloatBuffer(count * blockWidth)
        before.copy(weights, start, to: 0, count: count * width)
        let weights = weights.elements(start, count * width), changes = change.elements(0, change.count)
        for block in blocks {
            product.run(
                FloatProduct.Rows(start: before.base + block.lowerBound, stride: width, count: count),
                by: gains.base + block.lowerBound * blockWidth, rows: block.count, columns: block.count,
                into: FloatProduct.Output(start: change.base, stride: blockWidth))
            for row in 0..<count {
                let from = row * blockWidth, to = row * width + block.lowerBound
                for k in 0..<block.count { weights[to + k] += changes[from + k] }
            }
        }
    }
}

/// Solves y H = c for a block of H = U D Uᵀ, where U = F + 1, a panel of columns at a time.
private struct BlockSolver {
    private let factor: UnsafeMutableBufferPointer<Float>  // F above the diagonal, [count][stride]
    private let importance: UnsafeMutableBufferPointer<Float>  // D, [count]
    private let stride, count: Int
    private let product: FloatProduct
    private let products: FloatBuffer  // [count][panel]
    private static let panel = ErrorFeedback.panel

    init(_ feedback: ErrorFeedback, _ block: Range<Int>, _ product: FloatProduct) {
        stride = feedback.blockWidth
        count = block.count
        factor = feedback.factor.elements(block.lowerBound * stride, count * stride)
        importance = feedback.importance.elements(block.lowerBound, count)
        self.product = product
        products = FloatBuffer(count * Self.panel)
    }

    /// Replaces each of the `count` rows of c, [count][stride], by its y.
    func solve(_ c: UnsafeMutableBufferPointer<Float>) {
        let panels = Swift.stride(from: 0, to: count, by: Self.panel).map { $0..<min($0 + Self.panel, count) }
        let inverses = panels.map(inverse)
        // z Uᵀ = c from the last columns to the first, and of that z / D.
        for (panel, inverse) in zip(panels, inverses).reversed() {
            let later = panel.upperBound..<count
            update(c, panel, -=, sumOver: later) { p, j in
                factor[(panel.lowerBound + p) * stride + later.lowerBound + j] * importance[later.lowerBound + j]
            }
            update(c, panel, { $0 = $1 }, sumOver: panel) { p, k in
                inverse[p * panel.count + k] / importance[panel.lowerBound + p]
            }
        }
        // y U = z / D from the first to the last.
        for (panel, inverse) in zip(panels, inverses) {
            update(c, panel, -=, sumOver: 0..<panel.lowerBound) { p, j in factor[j * stride + panel.lowerBound + p] }
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
        let n = panel.count, first = panel.lowerBound
        var u = [Double](repeating: 0, count: n * n)
        for row in 0..<n {
            u[row * n + row] = 1
            for column in row + 1..<n {
                u[row * n + column] = Double(factor[(first + row) * stride + first + column])
            }
        }
        return inverseOfUpperTriangle(u, n).map { Float($0) }
    }
}
