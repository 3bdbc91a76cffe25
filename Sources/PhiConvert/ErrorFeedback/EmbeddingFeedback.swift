import Phi
import PhiCheckpoint
import PhiFormat

extension ErrorFeedback {
    /// Error feedback of an embedding that is rounded to integers: moves its errors to where the first block's input projection W is blind.
    ///
    /// An embedding has no inputs, but its rows are the inputs of the first layer norm; later residual streams are far larger, so
    /// later blocks hardly depend on it. An error e of a row changes that norm, up to a scale, by weight * (e - mean of e), and
    /// the first products by W times that: the square of the change is e A Aᵀ e, where the columns of A are the rows of W
    /// times the norm's weight, less their mean. These are summed as the inputs of a matrix are. Needs no text. `checkCancellation`
    /// throws to stop.
    ///
    /// W is read here a few rows at a time, and again when it is converted: kept until the embedding has been written it would
    /// be the largest buffer of a conversion without calibration, 117 MB of phi-1.
    static func forEmbedding(
        of checkpoint: CheckpointModel, _ plan: ConversionPlan, kernels: Kernels, threads: Int32,
        checkCancellation: () throws -> Void
    ) throws -> ErrorFeedback? {
        guard let matrix = plan.blocks.first?.inputProjection, let norm = matrix.norm else { return nil }
        let columns = matrix.columns
        let weight = try checkpoint.readVector(.weight(norm.module))
        let moments = InputMoments(width: columns, kernels: kernels, threads: threads)
        let buffer = FloatBuffer(InputMoments.runTokens * columns)
        for first in stride(from: 0, to: matrix.rows, by: InputMoments.runTokens) {
            try checkCancellation()
            let range = first..<min(first + InputMoments.runTokens, matrix.rows)
            try checkpoint.read(range, of: matrix, into: buffer)
            for row in 0..<range.count {
                let w = buffer.elements(row * columns, columns)
                for k in 0..<columns { w[k] *= weight[k] }
                let mean = w.reduce(0, +) / Float(columns)
                for k in 0..<columns { w[k] -= mean }
            }
            moments.add(buffer.base, columns, rows: range.count)
        }
        return ErrorFeedback(moments, kernels: kernels, threads: threads)
    }
}
