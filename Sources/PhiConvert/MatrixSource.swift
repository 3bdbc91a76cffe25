import PhiCheckpoint
import Phi
import PhiFormat

/// A matrix of the `.phi` file as it is put together from the checkpoint's: stacked along rows, or joined along columns.
struct MatrixSource {
    enum Arrangement {
        case stacked
        case sideBySide
    }

    /// Which of the file's matrices it is.
    enum Kind {
        case embedding
        case inputProjection(Int)
        case outputProjection(Int)
        case head

        /// What errors are reported under: all blocks together.
        var label: String {
            switch self {
            case .embedding: "embedding"
            case .inputProjection: "query, key, value, fc1"
            case .outputProjection: "dense, fc2"
            case .head: "head"
            }
        }
    }

    let name: String
    let kind: Kind
    let layers: [Module]
    let arrangement: Arrangement
    let rows: Int
    let columns: Int

    init(_ name: String, _ kind: Kind, _ layers: [Module], _ arrangement: Arrangement, of model: CheckpointModel) {
        self.name = name
        self.kind = kind
        self.layers = layers
        self.arrangement = arrangement
        let shapes = layers.map { model.shape(of: .weight($0)) }
        switch arrangement {
        case .stacked:
            rows = shapes.reduce(0) { $0 + $1.rows }
            columns = shapes.first?.columns ?? 0
        case .sideBySide:
            rows = shapes.first?.rows ?? 0
            columns = shapes.reduce(0) { $0 + $1.columns }
        }
    }

    /// Reads `range` of the rows, [range.count][columns]; `scratch` has as much room. Throws ``FormatError`` when the
    /// file cannot be read or a weight is not finite.
    func read(
        _ range: Range<Int>, of model: CheckpointModel, into out: FloatBuffer, scratch: FloatBuffer
    ) throws(FormatError) {
        switch arrangement {
        case .stacked: try readStacked(range, of: model, into: out)
        case .sideBySide: try readSideBySide(range, of: model, into: out, scratch: scratch)
        }
    }

    /// Floats of the source in memory at a time.
    private static let chunk = 4 << 20

    /// Rows that are encoded at a time, whole tiles.
    private var rowsAtOnce: Int {
        let tileRows = TensorEncoding.tileRows
        return max(tileRows, Self.chunk / columns / tileRows * tileRows)
    }

    /// Reads and encodes all rows, some at a time: `body` gets their tiles, what encoding changed, and the rows. Throws what it throws, and
    /// ``FormatError`` when the file cannot be read or a weight is not finite.
    func encode(
        _ encoding: TensorEncoding, of model: CheckpointModel, feedback: ErrorFeedback? = nil, _ kernels: Kernels,
        _ threads: Int32,
        _ body: (UnsafeRawBufferPointer, EncodingError, UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        let count = rowsAtOnce
        let encoder = TileEncoder(encoding, kernels, threads, rows: count, columns: columns, feedback: feedback)
        let source = FloatBuffer(count * columns)
        let scratch = FloatBuffer(arrangement == .sideBySide ? count * columns : 0)
        for first in stride(from: 0, to: rows, by: count) {
            let range = first..<min(first + count, rows)
            try read(range, of: model, into: source, scratch: scratch)
            feedback?.correction?.apply(to: source, rows: range.count)
            let error = encoder.encode(source, rows: range.count)
            try encoder.withTiles { try body($0, error, source.elements(0, range.count * columns)) }
        }
    }

    /// The bias of what it computes; the embedding has none.
    func bias(of model: CheckpointModel) throws(FormatError) -> [Float] {
        var bias: [Float] = []
        switch kind {
        case .embedding: break
        case .inputProjection, .head:
            for layer in layers { bias += try model.readVector(.bias(layer)) }
        case .outputProjection:
            bias = [Float](repeating: 0, count: rows)
            for layer in layers {
                for (row, value) in try model.readVector(.bias(layer)).enumerated() { bias[row] += value }
            }
        }
        return bias
    }

    private func readStacked(
        _ range: Range<Int>, of model: CheckpointModel, into out: FloatBuffer
    ) throws(FormatError) {
        var first = 0
        for layer in layers {
            let own = first..<first + model.shape(of: .weight(layer)).rows
            let wanted = range.clamped(to: own)
            if !wanted.isEmpty {
                let part = out.elements((wanted.lowerBound - range.lowerBound) * columns, wanted.count * columns)
                let rows = wanted.lowerBound - first..<wanted.upperBound - first
                try model.readFinite(.weight(layer), rows, into: part)
            }
            first = own.upperBound
        }
    }

    private func readSideBySide(
        _ range: Range<Int>, of model: CheckpointModel, into out: FloatBuffer, scratch: FloatBuffer
    ) throws(FormatError) {
        var column = 0
        for layer in layers {
            let width = model.shape(of: .weight(layer)).columns
            try model.readFinite(.weight(layer), range, into: scratch.elements(0, range.count * width))
            for row in 0..<range.count { out.copy(scratch, row * width, to: row * columns + column, count: width) }
            column += width
        }
    }
}

/// Memory for floats.
package final class FloatBuffer {
    private let memory: UnsafeMutableBufferPointer<Float>

    package init(_ count: Int) {
        base = .allocate(capacity: max(1, count))
        memory = UnsafeMutableBufferPointer(start: base, count: count)
        memory.initialize(repeating: 0)
    }

    deinit { base.deallocate() }

    package var count: Int { memory.count }

    /// The first element; there is one even if the count is zero.
    package let base: UnsafeMutablePointer<Float>

    package func elements(_ first: Int, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: memory[first..<first + count])
    }

    func copy(_ source: FloatBuffer, _ first: Int, to: Int, count: Int) {
        _ = elements(to, count).update(fromContentsOf: source.elements(first, count))
    }
}

extension CheckpointModel {
    /// As ``readRows(_:_:into:)``, and refuses NaN and infinity by the tensor's name.
    func readFinite(
        _ part: Parameter, _ rows: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        try readRows(part, rows, into: floats)
        // A sum of zero times each is zero unless one of them is NaN or infinite; this form vectorises.
        var sum = SIMD16<Float>.zero
        var i = 0
        while i + 16 <= floats.count {
            sum += UnsafeRawBufferPointer(floats).loadUnaligned(fromByteOffset: 4 * i, as: SIMD16<Float>.self) * 0
            i += 16
        }
        let isFinite = sum == .zero && floats[i...].allSatisfy(\.isFinite)
        guard isFinite else {
            guard let tensor = tensors[part] else { preconditionFailure("the model has no part \(part)") }
            throw FormatError(tensor.file.path, "tensor \(tensor.name.shown) holds NaN or infinity")
        }
    }

    /// The elements of a vector.
    func readVector(_ part: Parameter) throws(FormatError) -> [Float] {
        let count = shape(of: part).rows
        let buffer = FloatBuffer(count)
        try readFinite(part, 0..<count, into: buffer.elements(0, count))
        return Array(buffer.elements(0, count))
    }
}
