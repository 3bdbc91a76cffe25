import PhiFormat

/// How a tensor's elements are written in a checkpoint.
public enum ElementType: Sendable, Equatable, CustomStringConvertible {
    /// IEEE 754 binary32.
    case float32
    /// IEEE 754 binary16.
    case float16
    /// The upper half of a binary32.
    case bfloat16
    /// Any other, by the name that the file gives it. Such tensors are listed and not read.
    case other(String)

    /// Bytes an element takes; nil where elements are not read.
    public var size: Int? {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .other: nil
        }
    }

    /// The name that safetensors gives the type.
    public var description: String {
        switch self {
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .other(let name): name
        }
    }
}

/// A tensor that lies in a file, row-major and without gaps, and is read piece by piece.
public struct StoredTensor: Sendable {
    /// Its name in the file.
    public let name: String
    /// How an element is written.
    public let elementType: ElementType
    /// Its dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Number of elements.
    public let count: Int
    /// The file it lies in.
    public let file: ReadableFile
    /// Where its first byte is.
    public let offset: Int
    /// Why it cannot be read, in one line; nil if it can.
    public let refusal: String?

    /// Made by readers, who have checked that all elements lie in the file; `strided` is a layout that is not row-major.
    package init(
        name: String, elementType: ElementType, shape: [Int], count: Int, file: ReadableFile, offset: Int,
        strided: Bool = false
    ) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
        self.count = count
        self.file = file
        self.offset = offset
        if case .other(let type) = elementType {
            refusal = "tensor \(name.shown) has elements of type \(type.shown), not F32, F16 or BF16"
        } else if strided {
            refusal = "tensor \(name.shown) is not stored row by row"
        } else {
            refusal = nil
        }
    }

    /// Writes the given elements, counted row-major, to `floats`, exactly: subnormals, infinities and NaNs stay what they
    /// are. Takes at most 256 KiB of memory. Throws ``FormatError`` for a tensor with a ``refusal`` and for a file that
    /// cannot be read.
    public func readFloats(
        _ elements: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        precondition(elements.lowerBound >= 0 && elements.upperBound <= count && floats.count == elements.count)
        guard refusal == nil, let size = elementType.size else {
            throw FormatError(file.path, refusal ?? "tensor \(name.shown) cannot be read")
        }
        let start = offset + elements.lowerBound * size
        if elementType == .float32 {
            try file.read(at: start, into: UnsafeMutableRawBufferPointer(floats))
            return
        }
        let scratch = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: min(floats.count, 1 << 17))
        defer { scratch.deallocate() }
        var done = 0
        while done < floats.count {
            let halves = UnsafeMutableBufferPointer(rebasing: scratch[..<min(scratch.count, floats.count - done)])
            let target = UnsafeMutableBufferPointer(rebasing: floats[done..<done + halves.count])
            try file.read(at: start + done * size, into: UnsafeMutableRawBufferPointer(halves))
            if elementType == .float16 {
                HalfPrecision.widenFloat16(UnsafeBufferPointer(halves), into: target)
            } else {
                HalfPrecision.widenBFloat16(UnsafeBufferPointer(halves), into: target)
            }
            done += halves.count
        }
    }
}

extension [Int] {
    /// The product, or nil if a factor is negative or the product is beyond Int.
    package var checkedProduct: Int? {
        var product = 1
        for factor in self {
            let (next, overflow) = product.multipliedReportingOverflow(by: factor)
            guard factor >= 0, !overflow else { return nil }
            product = next
        }
        return product
    }
}
