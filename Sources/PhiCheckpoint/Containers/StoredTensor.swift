import PhiFormat

/// The type of a stored tensor's elements.
package enum ElementType: Sendable, Equatable {
    /// IEEE 754 binary64.
    case float64
    /// IEEE 754 binary32.
    case float32
    /// IEEE 754 binary16.
    case float16
    /// The upper half of a binary32.
    case bfloat16
    /// Any other, by the file's own name for it. Such tensors are listed but cannot be read.
    case other(String)

    /// Bytes of an element; nil if elements cannot be read.
    var size: Int? {
        switch self {
        case .float64: 8
        case .float32: 4
        case .float16, .bfloat16: 2
        case .other: nil
        }
    }
}

/// A tensor in a file, which is read in pieces.
package struct StoredTensor: Sendable {
    package let name: String
    package let elementType: ElementType
    /// Its dimensions, outermost first; empty for a scalar.
    package let shape: [Int]
    /// The number of elements. Readers have checked that all of them lie in the file.
    package let count: Int
    package let file: ReadableFile
    /// Offset of its first element in the file.
    let offset: Int
    /// Elements from one index of each dimension to the next, as in a transposed view; nil if the tensor is row-major and
    /// without gaps.
    var strides: [Int]?

    /// Why it cannot be read, in one line; nil if it can be.
    package var refusal: String? {
        if case .other(let type) = elementType {
            return "tensor \(name.shown) has elements of type \(type.shown), not F64, F32, F16 or BF16"
        }
        return strides.map { $0.count > 2 } ?? false ? "tensor \(name.shown) is not stored row by row" : nil
    }

    /// Writes the given elements, counted row-major, to `floats`: doubles rounded to the nearest float, all others exactly with
    /// subnormals, infinities and NaNs. Uses at most 1 MiB of memory. Throws ``FormatError`` for a tensor with a ``refusal`` and
    /// for a file that cannot be read.
    package func readFloats(
        _ elements: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        precondition(elements.lowerBound >= 0 && elements.upperBound <= count && floats.count == elements.count)
        if let refusal { throw FormatError(file.path, refusal) }
        guard let strides else { return try read(at: elements.lowerBound, into: floats) }
        // A vector is a matrix of one row.
        let columns = shape.last ?? 1
        let (rowStride, columnStride) = (strides.count == 2 ? strides[0] : 0, strides.last ?? 1)
        guard rowStride < columnStride, elements.lowerBound % columns == 0, elements.count % columns == 0 else {
            var done = 0
            while done < floats.count {
                let (row, column) = (elements.lowerBound + done).quotientAndRemainder(dividingBy: columns)
                let length = min(columns - column, floats.count - done)
                let target = UnsafeMutableBufferPointer(rebasing: floats[done..<done + length])
                try gather(
                    at: row * rowStride + column * columnStride, every: columnStride, length, into: target, step: 1)
                done += length
            }
            return
        }
        // Whole rows of a transposed matrix: its columns are what lies together.
        let (row, rows) = (elements.lowerBound / columns, elements.count / columns)
        for column in 0..<(rows == 0 ? 0 : columns) {
            let target = UnsafeMutableBufferPointer(rebasing: floats[column...])
            try gather(at: row * rowStride + column * columnStride, every: rowStride, rows, into: target, step: columns)
        }
    }

    /// Reads `number` elements, the first at `start` and one every `stride`, to `floats`, one every `step`.
    private func gather(
        at start: Int, every stride: Int, _ number: Int, into floats: UnsafeMutableBufferPointer<Float>, step: Int
    ) throws(FormatError) {
        let piece = max(1, Self.piece / max(1, stride))
        let span = UnsafeMutableBufferPointer<Float>.allocate(capacity: (min(piece, max(1, number)) - 1) * stride + 1)
        defer { span.deallocate() }
        var done = 0
        while done < number {
            let some = min(piece, number - done)
            let length = (some - 1) * stride + 1
            try read(at: start + done * stride, into: UnsafeMutableBufferPointer(rebasing: span[..<length]))
            for index in 0..<some { floats[(done + index) * step] = span[index * stride] }
            done += some
        }
    }

    /// Elements of other types that are converted at a time.
    private static let piece = 1 << 16

    /// Reads elements that lie together, the first at `start` elements from ``offset``.
    private func read(at start: Int, into floats: UnsafeMutableBufferPointer<Float>) throws(FormatError) {
        let size = elementType.size ?? 0
        let place = offset + start * size
        if elementType == .float32 { return try file.read(at: place, into: UnsafeMutableRawBufferPointer(floats)) }
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(floats.count, Self.piece) * size, alignment: 8)
        defer { scratch.deallocate() }
        var done = 0
        while done < floats.count {
            let number = min(Self.piece, floats.count - done)
            let target = UnsafeMutableBufferPointer(rebasing: floats[done..<done + number])
            let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<(number * size)])
            try file.read(at: place + done * size, into: bytes)
            switch elementType {
            case .float64:
                for (index, value) in bytes.bindMemory(to: Double.self).enumerated() { target[index] = Float(value) }
            case .float16:
                HalfPrecision.widenFloat16(UnsafeBufferPointer(bytes.bindMemory(to: UInt16.self)), into: target)
            default: HalfPrecision.widenBFloat16(UnsafeBufferPointer(bytes.bindMemory(to: UInt16.self)), into: target)
            }
            done += number
        }
    }
}

extension [Int] {
    /// The product, or nil if a factor is negative or the product is beyond Int.
    var checkedProduct: Int? {
        var product = 1
        for factor in self {
            let (next, overflow) = product.multipliedReportingOverflow(by: factor)
            guard factor >= 0, !overflow else { return nil }
            product = next
        }
        return product
    }
}
