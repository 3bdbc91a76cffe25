import Phi
import PhiCheckpoint
import PhiFormat

/// A block's weights in memory, encoded as in a file.
struct EncodedBlock {
    let norm: EncodedNorm
    let inputProjection, outputProjection: EncodedMatrix

    /// The block as a forward pass takes it; valid while this value lives.
    var weights: Weights.Block {
        Weights.Block(
            norm: norm.weights, inputProjection: (inputProjection.matrix, bias: inputProjection.bias.vector),
            outputProjection: (outputProjection.matrix, bias: outputProjection.bias.vector))
    }
}

/// A matrix's tiles and its bias in memory.
struct EncodedMatrix {
    let matrix: Matrix
    let bias: Buffer<Float>  // [rows]
    fileprivate let tiles: Buffer<UInt8>
}

extension EncodedMatrix {
    /// Rows encoded as `encoding`, rounded to nearest. `checkCancellation` throws to stop.
    init(
        _ rows: MatrixRows, as encoding: TensorEncoding, kernels: Kernels, threads: Int32,
        _ checkCancellation: () throws -> Void
    ) throws {
        let tiles = try TileCollector(rows.matrix, in: encoding)
        try rows.encode(as: encoding, kernels: kernels, threads: threads) {
            try checkCancellation()
            tiles.append($0.tiles)
        }
        self = try tiles.finished(bias: rows.bias())
    }
}

/// Collects the tiles of a matrix as they are encoded.
final class TileCollector {
    private let matrix: Matrix
    private let tiles: Buffer<UInt8>
    private var count = 0

    /// Throws ``SessionError`` when there is not enough memory.
    init(_ planned: PlannedMatrix, in encoding: TensorEncoding) throws(SessionError) {
        let (rows, columns) = (planned.rows, planned.columns)
        tiles = try Buffer(encoding.byteCount(rows: rows, columns: columns) ?? 0)
        matrix = Matrix(encoding: encoding, rows: rows, columns: columns, tiles: tiles.start)
    }

    /// Appends the next tiles.
    func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(count + bytes.count <= tiles.count)
        UnsafeMutableRawBufferPointer(start: tiles.start + count, count: bytes.count).copyMemory(from: bytes)
        count += bytes.count
    }

    /// The matrix, when all tiles have been appended. Throws ``SessionError`` when there is not enough memory.
    func finished(bias: [Float]) throws(SessionError) -> EncodedMatrix {
        precondition(count == tiles.count, "all tiles are there before the matrix is")
        return EncodedMatrix(matrix: matrix, bias: try Buffer(bias), tiles: tiles)
    }
}

/// A layer norm's weight and bias in memory.
struct EncodedNorm {
    let weight, bias: Buffer<Float>  // [hidden]

    /// The checkpoint's norm in front of a matrix.
    init(of matrix: PlannedMatrix, _ checkpoint: CheckpointModel) throws {
        guard let norm = try checkpoint.norm(of: matrix) else {
            preconditionFailure("\(matrix.section) has no layer norm")
        }
        (weight, bias) = (try Buffer(norm.weight), try Buffer(norm.bias))
    }

    /// The norm that a change gives. Throws ``SessionError`` when there is not enough memory.
    init(_ change: Reparameterisation) throws(SessionError) {
        (weight, bias) = (try Buffer(change.normWeight), try Buffer(change.normBias))
    }

    /// The norm as a forward pass takes it; valid while this value lives.
    var weights: Weights.Norm { Weights.Norm(weight: weight.vector, bias: bias.vector) }
}

extension Buffer<Float> {
    /// A copy of `elements`. Throws ``SessionError`` when there is not enough memory.
    convenience init(_ elements: [Float]) throws(SessionError) {
        try self.init(elements.count)
        start.update(from: elements, count: elements.count)
    }

    var vector: Vector { Vector(count: count, elements: start) }
}
