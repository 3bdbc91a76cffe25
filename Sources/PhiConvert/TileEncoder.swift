import CPhiKernels
import Phi
import PhiFormat

/// Encodes rows of floats as tiles, on several threads.
package final class TileEncoder {
    private let encoding: TensorEncoding
    private let operation: phi_operation
    private let threads: Int32
    private let columns: Int
    private let tiles: UnsafeMutableRawBufferPointer
    private var errors: [Double]
    private var squares: [Double]
    private var byteCount = 0
    private let feedback: ErrorFeedback?
    private let differences: FloatBuffer  // [tiles][columns][16], for error feedback

    /// An encoder of up to `rows` rows at a time, with error feedback if it is given one and the encoding rounds to integers.
    package init(
        _ encoding: TensorEncoding, _ kernels: Kernels, _ threads: Int32, rows: Int, columns: Int,
        feedback: ErrorFeedback? = nil
    ) {
        self.encoding = encoding
        self.operation = kernels.encode(encoding)
        self.threads = threads
        self.columns = columns
        let tileCount = (rows + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows
        let bytes = encoding.byteCount(rows: rows, columns: columns) ?? 0
        tiles = .allocate(byteCount: bytes, alignment: 64)
        self.feedback = feedback
        differences = FloatBuffer(feedback == nil ? 0 : tileCount * columns * TensorEncoding.tileRows)
        errors = Array(repeating: 0, count: tileCount)
        squares = errors
    }

    deinit { tiles.deallocate() }

    /// Encodes `rows` rows of `source`, [rows][columns]; the tiles are there until the next call.
    package func encode(_ source: FloatBuffer, rows: Int) -> EncodingError {
        let count = (rows + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows
        byteCount = encoding.byteCount(rows: rows, columns: columns) ?? 0
        errors.withUnsafeMutableBufferPointer { errors in
            squares.withUnsafeMutableBufferPointer { squares in
                var arguments = phi_encode_args(
                    rows: source.elements(0, rows * columns).baseAddress, row_count: rows, columns: columns,
                    out: tiles.baseAddress, errors: errors.baseAddress, squares: squares.baseAddress,
                    feedback: feedback.map { UnsafePointer($0.factors.base) },
                    feedback_block: feedback?.blockWidth ?? 0,
                    importance: feedback.map { UnsafePointer($0.importance.base) }, differences: differences.base)
                phi_parallel(threads, count, operation, &arguments)
            }
        }
        return EncodingError(
            squaredError: errors[..<count].reduce(0, +), squaredWeights: squares[..<count].reduce(0, +))
    }

    /// The tiles of the last ``encode(_:rows:)``.
    package func withTiles<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: tiles[..<byteCount]))
    }
}

/// What encoding changed, summed over weights.
package struct EncodingError: Sendable {
    /// Sum of squared differences between weights and what was stored.
    package var squaredError: Double
    package var squaredWeights: Double

    /// Root of the mean squared error as a share of the weights' own: 0.07 means 7%.
    package var relative: Double { squaredWeights > 0 ? (squaredError / squaredWeights).squareRoot() : 0 }

    static func += (sum: inout EncodingError, other: EncodingError) {
        sum.squaredError += other.squaredError
        sum.squaredWeights += other.squaredWeights
    }
}
