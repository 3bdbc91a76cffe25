import PhiCheckpoint
import Phi
import PhiFormat

extension ErrorFeedback {
    /// For an embedding in q4 or q8: errors go where the first block does not see them.
    ///
    /// An embedding has no inputs, but its rows are what the first layer norm takes in, and later residuals are far larger, so
    /// that later blocks hardly see it. An error e of a row changes that norm, but for its size, by weight * (e - mean of e), and
    /// the first products by the inner matrix W of that: its square is e A Aᵀ e with the rows of A's transpose being those of W,
    /// times the norm's weight, less their mean. These rows are summed as a matrix's inputs are. No text is needed. `shouldContinue` throws to stop.
    static func forEmbedding(
        of checkpoint: CheckpointModel, seenBy inner: MatrixSource, kernels: Kernels, threads: Int32,
        shouldContinue: () throws -> Void
    ) throws -> ErrorFeedback? {
        let columns = inner.columns
        let weight = try checkpoint.readVector(.weight(.norm(0)))
        let moments = InputMoments(width: columns, kernels: kernels, threads: threads)
        let buffer = FloatBuffer(TensorEncoding.tileRows * columns), none = FloatBuffer(0)
        for first in stride(from: 0, to: inner.rows, by: TensorEncoding.tileRows) {
            try shouldContinue()
            let range = first..<min(first + TensorEncoding.tileRows, inner.rows)
            try inner.read(range, of: checkpoint, into: buffer, scratch: none)
            for row in 0..<range.count {
                let w = buffer.elements(row * columns, columns)
                for k in 0..<columns { w[k] *= weight[k] }
                let mean = w.reduce(0, +) / Float(columns)
                for k in 0..<columns { w[k] -= mean }
            }
            moments.add(buffer.base, columns, rows: range.count)
        }
        moments.flush()
        return ErrorFeedback(moments, kernels: kernels, threads: threads)
    }
}
