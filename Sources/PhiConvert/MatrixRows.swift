import Phi
import PhiCheckpoint
import PhiFormat

/// The rows of a planned matrix, put together from the checkpoint's parameters a chunk at a time when they are encoded.
final class MatrixRows {
    /// Some rows of a matrix, encoded.
    struct Encoded {
        let rows: Range<Int>
        /// The tiles, valid until the next rows are encoded.
        let tiles: UnsafeRawBufferPointer
        /// The change by encoding.
        let error: EncodingError
        /// The rows that were encoded, [rows][columns].
        let weights: UnsafeMutableBufferPointer<Float>
    }

    let matrix: PlannedMatrix
    private let checkpoint: CheckpointModel
    private let change: Reparameterisation?
    private let rowsAtOnce: Int
    private let buffer: FloatBuffer  // [rows at once][columns]

    /// Floats that are read and encoded at a time.
    private static let chunk = 4 << 20

    /// The rows with `change` made, if there is one.
    init(_ matrix: PlannedMatrix, of checkpoint: CheckpointModel, _ change: Reparameterisation? = nil) {
        self.matrix = matrix
        self.checkpoint = checkpoint
        self.change = change
        let tileRows = TensorEncoding.tileRows
        rowsAtOnce = min(matrix.rows, max(tileRows, Self.chunk / matrix.columns / tileRows * tileRows))
        buffer = FloatBuffer(rowsAtOnce * matrix.columns)
    }

    /// The matrix's bias.
    func bias() throws(FormatError) -> [Float] {
        guard let change else { return try checkpoint.bias(of: matrix) }
        return matrix.norm == nil ? change.outputBias : change.inputBias
    }

    /// Weight and bias of the norm that precedes the matrix, if there is one.
    func norm() throws(FormatError) -> (weight: [Float], bias: [Float])? {
        if let change, matrix.norm != nil { return (change.normWeight, change.normBias) }
        return try checkpoint.norm(of: matrix)
    }

    /// The sizes of the matrix's inputs, if they are known.
    var activations: ActivationRatio? { matrix.norm == nil ? change?.outputRatio : change?.inputRatio }

    /// Reads and encodes all rows, a chunk at a time, each after ``ErrorFeedback/correction`` was applied to it. Throws what `body`
    /// throws, and ``FormatError`` when the checkpoint cannot be read or a weight is not finite.
    func encode(
        as encoding: TensorEncoding, feedback: ErrorFeedback? = nil, kernels: Kernels, threads: Int32,
        _ body: (Encoded) throws -> Void
    ) throws {
        let columns = matrix.columns
        let encoder = TileEncoder(encoding, kernels, threads, rows: rowsAtOnce, columns: columns, feedback: feedback)
        for first in stride(from: 0, to: matrix.rows, by: rowsAtOnce) {
            let range = first..<min(first + rowsAtOnce, matrix.rows)
            if let change {
                try change.read(range, of: matrix, from: checkpoint, into: buffer)
            } else {
                try checkpoint.read(range, of: matrix, into: buffer)
            }
            feedback?.correction?.apply(to: buffer, rows: range.count)
            let error = encoder.encode(buffer, rows: range.count)
            try encoder.withTiles {
                let weights = buffer.elements(0, range.count * columns)
                try body(Encoded(rows: range, tiles: $0, error: error, weights: weights))
            }
        }
    }
}

extension CheckpointModel {
    /// The modules of which a planned matrix's rows `range` are, and which of theirs.
    private func pieces(_ range: Range<Int>, of matrix: PlannedMatrix) -> [(module: Module, rows: Range<Int>)] {
        guard matrix.joint == .byRows else { return matrix.modules.map { ($0, range) } }
        var first = 0
        return matrix.modules.compactMap { module in
            let own = first..<first + config.shape(of: .weight(module)).rows
            let wanted = range.clamped(to: own)
            defer { first = own.upperBound }
            return wanted.isEmpty ? nil : (module, wanted.lowerBound - first..<wanted.upperBound - first)
        }
    }

    /// The `fault` of rows `range` of a planned matrix, that weights of them are larger than `limit`. It is that of the first
    /// module with such a weight; where conversion made them so large, of the first one.
    func fault(
        of matrix: PlannedMatrix, _ range: Range<Int>, beyond limit: Float, _ fault: String
    ) -> FormatError {
        let pieces = pieces(range, of: matrix)
        let found = pieces.first { module, rows in
            let count = rows.count * config.shape(of: .weight(module)).columns
            var floats = [Float](repeating: 0, count: count)
            return floats.withUnsafeMutableBufferPointer { floats in
                (try? readRows(.weight(module), rows, into: floats)) == nil
                    || !floats.allSatisfy { $0.magnitude <= limit }
            }
        }
        let (module, rows) = found ?? pieces[0]
        return self.fault(of: .weight(module), rows, beyond: limit, fault)
    }

    /// Reads `range` of a planned matrix's rows into `out`, [range.count][columns]. Throws ``FormatError`` when
    /// the checkpoint cannot be read or a weight is not finite.
    func read(_ range: Range<Int>, of matrix: PlannedMatrix, into out: FloatBuffer) throws(FormatError) {
        switch matrix.joint {
        case .byRows:
            var place = 0
            for (module, rows) in pieces(range, of: matrix) {
                let count = rows.count * matrix.columns
                try readFinite(.weight(module), rows, into: out.elements(place, count))
                place += count
            }
        case .byColumns:
            let scratch = FloatBuffer(range.count * matrix.columns)
            var column = 0
            for module in matrix.modules {
                let width = config.shape(of: .weight(module)).columns
                try readFinite(.weight(module), range, into: scratch.elements(0, range.count * width))
                for row in 0..<range.count {
                    out.copy(scratch, row * width, to: row * matrix.columns + column, count: width)
                }
                column += width
            }
        }
    }

    /// Calls `body` with the number and the elements of each row of a planned matrix, [columns]; 16 floats behind them can be read,
    /// too. Throws ``FormatError`` as ``read(_:of:into:)``.
    func forEachRow(
        of matrix: PlannedMatrix, _ body: (Int, UnsafePointer<Float>) -> Void
    ) throws(FormatError) {
        let rowsAtOnce = 64
        let buffer = FloatBuffer(rowsAtOnce * matrix.columns + 16)
        for first in stride(from: 0, to: matrix.rows, by: rowsAtOnce) {
            let range = first..<min(first + rowsAtOnce, matrix.rows)
            try read(range, of: matrix, into: buffer)
            for row in range { body(row, UnsafePointer(buffer.base + (row - first) * matrix.columns)) }
        }
    }

    /// Weight and bias of the norm that precedes a planned matrix, if there is one.
    func norm(of matrix: PlannedMatrix) throws(FormatError) -> (weight: [Float], bias: [Float])? {
        try matrix.norm.map { norm throws(FormatError) in
            (try readVector(.weight(norm.module)), try readVector(.bias(norm.module)))
        }
    }

    /// The bias of a planned matrix that has one.
    func bias(of matrix: PlannedMatrix) throws(FormatError) -> [Float] {
        let biases = try matrix.modules.map { module throws(FormatError) in try readVector(.bias(module)) }
        switch matrix.joint {
        case .byRows: return biases.flatMap { $0 }
        case .byColumns: return (0..<matrix.rows).map { row in biases.reduce(0) { $0 + $1[row] } }
        }
    }

    /// The elements of a vector. Throws ``FormatError`` as ``read(_:of:into:)``.
    func readVector(_ parameter: Parameter) throws(FormatError) -> [Float] {
        let count = config.shape(of: parameter).rows
        let buffer = FloatBuffer(count)
        try readFinite(parameter, 0..<count, into: buffer.elements(0, count))
        return Array(buffer.elements(0, count))
    }

    /// Reads as ``readRows(_:_:into:)``, and refuses NaN and infinity by the tensor's name.
    func readFinite(
        _ parameter: Parameter, _ rows: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        try readRows(parameter, rows, into: floats)
        // A sum of zero times each is zero unless one of them is NaN or infinite; this form vectorises.
        var sum = SIMD16<Float>.zero
        var i = 0
        while i + 16 <= floats.count {
            sum += UnsafeRawBufferPointer(floats).loadUnaligned(fromByteOffset: 4 * i, as: SIMD16<Float>.self) * 0
            i += 16
        }
        if sum == .zero && floats[i...].allSatisfy(\.isFinite) { return }
        throw fault(of: parameter, rows, "holds NaN or infinity")
    }
}
