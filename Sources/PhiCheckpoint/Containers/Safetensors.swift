import PhiFormat
import PhiJSON

/// Reads the header of a safetensors file: https://github.com/huggingface/safetensors#format
///
///     u64 length of the header | header: JSON, name -> {dtype, shape, data_offsets} | data
///
/// Everything is checked before a tensor is listed: each tensor is as long as its shape says, and together they cover the
/// data without overlaps or holes.
package enum Safetensors: TensorContainer {
    static let fileName = "model.safetensors"
    static let content = FileContent.safetensors
    static let noun = "a safetensors file"

    /// The longest header that is read, of some 30,000 tensors. safetensors' own limit is 100 MB, which take gigabytes.
    static let headerLimit = JSONText.byteLimit

    /// The tensors of `file` in the order of their data. Tensors of other types than F64, F32, F16 and BF16 are listed with a
    /// ``StoredTensor/refusal``.
    package static func tensors(of file: ReadableFile) throws(FormatError) -> [StoredTensor] {
        try checkContent(of: file)
        guard file.size >= 8 else {
            throw FormatError(file.path, "is not a safetensors file: it has \(file.size) bytes")
        }
        let length = try file.readBytes(at: 0, count: 8).withUnsafeBytes { $0.littleEndian(at: 0, as: UInt64.self) }
        guard length <= headerLimit || length > file.size - 8 else {
            throw FormatError(file.path, "has a header of \(length) bytes; at most \(headerLimit) are expected")
        }
        guard length <= file.size - 8 else {
            throw FormatError(
                file.path,
                "is not a safetensors file, or is cut off: a header of \(length) bytes in a file of \(file.size)")
        }
        let header = try file.readBytes(at: 8, count: Int(length))
        guard header.first == UInt8(ascii: "{") else {
            throw FormatError(file.path, "is not a safetensors file: its header does not begin with {")
        }
        let items = try JSONText.decode([String: HeaderItem].self, from: header, of: file.path)
        return try place(items, data: 8 + Int(length), in: file)
    }

    private static func place(
        _ items: [String: HeaderItem], data: Int, in file: ReadableFile
    ) throws(FormatError) -> [StoredTensor] {
        var placed: [(begin: Int, end: Int, tensor: StoredTensor)] = []
        // Sorted, so that of several faults the same one is always named.
        for (name, item) in items.sorted(by: { $0.key < $1.key }) {
            guard case .tensor(let entry) = item else { continue }
            func refused(_ fault: String) -> FormatError { FormatError(file.path, "tensor \(name.shown) \(fault)") }
            guard entry.data_offsets.count == 2 else { throw refused("has not two data offsets") }
            let (begin, end) = (entry.data_offsets[0], entry.data_offsets[1])
            guard begin >= 0, begin <= end, end <= file.size - data else {
                let advice = begin < end ? "; if the file was cut off, download it again" : ""
                throw refused("lies at bytes \(begin) to \(end) of \(file.size - data) bytes of data\(advice)")
            }
            guard let count = entry.shape.checkedProduct else { throw refused("has a shape too large to be true") }
            let (elementType, size) = elementType(entry.dtype)
            if let size {
                let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
                guard !overflow, bytes == end - begin else {
                    throw refused("of shape \(entry.shape) and type \(entry.dtype) is not \(end - begin) bytes long")
                }
            }
            let tensor = StoredTensor(
                name: name, elementType: elementType, shape: entry.shape, count: count, file: file,
                offset: data + begin)
            placed.append((begin, end, tensor))
        }
        // Ends, not lengths, order the empty tensors among their neighbours.
        placed.sort { ($0.begin, $0.end, $0.tensor.name) < ($1.begin, $1.end, $1.tensor.name) }
        var covered = 0
        for (begin, end, tensor) in placed {
            guard begin == covered else {
                let fault = begin < covered ? "overlaps the one before it" : "leaves a hole before it"
                throw FormatError(file.path, "tensor \(tensor.name.shown) \(fault)")
            }
            covered = end
        }
        guard covered == file.size - data else {
            throw FormatError(file.path, "has \(file.size - data - covered) bytes that belong to no tensor")
        }
        return placed.map(\.tensor)
    }

    /// The types of safetensors 0.8's `Dtype` whose elements are whole bytes. The length of a tensor of a type that is
    /// not here is not checked, and it cannot be read.
    private static func elementType(_ dtype: String) -> (ElementType, size: Int?) {
        switch dtype {
        case "F64": (.float64, 8)
        case "F32": (.float32, 4)
        case "F16": (.float16, 2)
        case "BF16": (.bfloat16, 2)
        case "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0": (.other(dtype), 1)
        case "U16", "I16": (.other(dtype), 2)
        case "U32", "I32": (.other(dtype), 4)
        case "U64", "I64", "C64": (.other(dtype), 8)
        default: (.other(dtype), nil)
        }
    }
}

/// An item of the header: a tensor, or `__metadata__`, an object of strings that says nothing about tensors.
private enum HeaderItem: Decodable {
    case tensor(Entry)
    case metadata

    /// A tensor, with the format's own names. Numbers that are negative, fractional or beyond Int fail to decode.
    struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    init(from decoder: any Decoder) throws {
        if decoder.codingPath.last?.stringValue == "__metadata__" {
            _ = try [String: String](from: decoder)
            self = .metadata
        } else {
            self = .tensor(try Entry(from: decoder))
        }
    }
}
