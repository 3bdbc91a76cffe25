import CPhiKernels
import Phi
import PhiCheckpoint
import PhiFormat

/// A tensor of a GGUF file, made of a part of a section of a `.phi` file.
struct ExportedTensor {
    let name: String
    /// Rows and columns of a matrix, elements of a vector.
    let shape: [Int]
    let type: ExportType
    private let source: Source
    private let file: PhiFile

    private enum Source {
        /// A matrix's rows and columns from these on.
        case matrix(Section, firstRow: Int, firstColumn: Int)
        /// A vector's elements from one on.
        case vector(Section, first: Int)
        /// A vector that is not in the file.
        case zeros
    }

    /// The tensor of a parameter in a file of `plan`'s sections. Throws ``FormatError`` when a section is not there.
    init(_ parameter: Parameter, of file: PhiFile, _ plan: ConversionPlan, _ type: ExportType) throws(FormatError) {
        func section(_ name: String?) throws(FormatError) -> Section {
            guard let name, let section = file.section(name) else {
                throw FormatError(file.path, "has no section \(name ?? "of \(parameter)")")
            }
            return section
        }
        self.file = file
        name = GGUFNames.name(of: parameter)
        if let norm = plan.matrices.compactMap(\.norm).first(where: { $0.module == parameter.module }) {
            let isWeight = if case .weight = parameter { true } else { false }
            let section = try section(isWeight ? norm.weightSection : norm.biasSection)
            (shape, self.type, source) = ([section.rows], .f32, .vector(section, first: 0))
            return
        }
        guard let matrix = plan.matrices.first(where: { $0.modules.contains(parameter.module) }),
            let place = matrix.modules.firstIndex(of: parameter.module)
        else { preconditionFailure("the plan has no \(parameter)") }
        let shapes = matrix.shapes, before = shapes[..<place]
        let isByRows = if case .byRows = matrix.joint { true } else { false }
        let firstRow = isByRows ? before.reduce(0) { $0 + $1.rows } : 0
        switch parameter {
        case .weight:
            shape = [shapes[place].rows, shapes[place].columns]
            self.type = type.fitting(columns: shapes[place].columns)
            source = .matrix(
                try section(matrix.section), firstRow: firstRow,
                firstColumn: isByRows ? 0 : before.reduce(0) { $0 + $1.columns })
        case .bias:
            shape = [shapes[place].rows]
            self.type = .f32
            // Of matrices side by side the file has the sum of the biases, which goes to the last.
            source =
                isByRows || place == shapes.count - 1
                ? .vector(try section(matrix.biasSection), first: firstRow) : .zeros
        }
    }

    private var rows: Int { shape.count == 1 ? 1 : shape[0] }
    private var columns: Int { shape[shape.count - 1] }

    /// Bytes of its elements.
    var bytes: Int { rows * type.bytes(columns: columns) }

    /// Gives its elements to `body`, some rows at a time. Throws what `body` throws, and ``FormatError`` when a weight is too
    /// large for the type.
    func write(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let rowBytes = type.bytes(columns: columns)
        let rowsAtOnce = min(rows, max(1, (1 << 20) / rowBytes))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: rowsAtOnce * rowBytes, alignment: 64)
        defer { memory.deallocate() }
        let row = FloatBuffer(columns)
        let wide: FloatBuffer? =
            if case .matrix(let section, _, _) = source { FloatBuffer(section.columns) } else { nil }
        for first in stride(from: 0, to: rows, by: rowsAtOnce) {
            let count = min(rowsAtOnce, rows - first)
            for index in 0..<count {
                read(first + index, into: row, wide)
                let place = UnsafeMutableRawBufferPointer(rebasing: memory[index * rowBytes..<(index + 1) * rowBytes])
                guard type.encode(UnsafeBufferPointer(row.elements(0, columns)), into: place) else {
                    throw FormatError(file.path, "\(name) has weights that are too large for \(type.rawValue)")
                }
            }
            try body(UnsafeRawBufferPointer(rebasing: memory[..<(count * rowBytes)]))
        }
    }

    private func read(_ index: Int, into row: FloatBuffer, _ wide: FloatBuffer?) {
        switch source {
        case .matrix(let section, let firstRow, let firstColumn):
            guard let wide else { return }
            let tiles = file.bytes(of: section).baseAddress
            phi_row(tiles, section.encodingNumber, firstRow + index, section.columns, wide.base)
            row.copy(wide, firstColumn, to: 0, count: columns)
        case .vector(let section, let first):
            let bytes = file.bytes(of: section)
            for column in 0..<columns {
                let bits = bytes.littleEndian(at: 4 * (first + column), as: UInt32.self)
                row.elements(column, 1)[0] = Float(bitPattern: bits)
            }
        case .zeros: row.elements(0, columns).update(repeating: 0)
        }
    }
}
