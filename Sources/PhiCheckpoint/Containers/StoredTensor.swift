import PhiFormat

/// The type of a stored tensor's elements.
package enum ElementType: Sendable, Equatable {
    /// IEEE 754 binary32.
    case float32
    /// IEEE 754 binary16.
    case float16
    /// The upper half of a binary32.
    case bfloat16
    /// Blocks of a type of GGUF files.
    case blocks(BlockType)
    /// Any other, by the file's own name for it. Such tensors are listed but cannot be read.
    case other(String)

    /// Bytes of an element; nil if elements cannot be read, or not one by one.
    var size: Int? {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .blocks, .other: nil
        }
    }
}

/// A tensor in a file, row-major and without gaps, which is read in pieces.
package struct StoredTensor: Sendable {
    package let name: String
    package let elementType: ElementType
    /// Its dimensions, outermost first; empty for a scalar.
    package let shape: [Int]
    /// The number of elements. Readers have checked that all of them lie in the file.
    package let count: Int
    package let file: ReadableFile
    /// Offset of its first byte in the file.
    let offset: Int
    /// Whether elements lie in another order than row-major, as those of a transposed view.
    var isStrided = false

    /// Why it cannot be read, in one line; nil if it can be.
    package var refusal: String? {
        if case .other(let type) = elementType {
            return "tensor \(name.shown) has elements of type \(type.shown), not F32, F16 or BF16"
        }
        return isStrided ? "tensor \(name.shown) is not stored row by row" : nil
    }

    /// Writes the given elements, counted row-major, to `floats`, exactly: subnormals, infinities and NaNs are kept. Uses at
    /// most 256 KiB of memory. Throws ``FormatError`` for a tensor with a ``refusal`` and for a file that
    /// cannot be read.
    package func readFloats(
        _ elements: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        precondition(elements.lowerBound >= 0 && elements.upperBound <= count && floats.count == elements.count)
        if case .blocks(let type) = elementType { return try readBlocks(type, elements, into: floats) }
        guard refusal == nil, let size = elementType.size else {
            throw FormatError(file.path, refusal ?? "tensor \(name.shown) cannot be read")
        }
        let start = offset + elements.lowerBound * size
        if elementType == .float32 {
            try file.read(at: start, into: UnsafeMutableRawBufferPointer(floats))
            return
        }
        let widen = elementType == .float16 ? HalfPrecision.widenFloat16 : HalfPrecision.widenBFloat16
        let scratch = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: min(floats.count, 1 << 17))
        defer { scratch.deallocate() }
        var done = 0
        while done < floats.count {
            let halves = UnsafeMutableBufferPointer(rebasing: scratch[..<min(scratch.count, floats.count - done)])
            let target = UnsafeMutableBufferPointer(rebasing: floats[done..<done + halves.count])
            try file.read(at: start + done * size, into: UnsafeMutableRawBufferPointer(halves))
            widen(UnsafeBufferPointer(halves), target)
            done += halves.count
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
