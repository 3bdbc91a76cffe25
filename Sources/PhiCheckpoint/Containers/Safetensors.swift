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

    /// The longest header that is read; safetensors' own limit.
    static let headerLimit = 100_000_000

    /// The tensors of `file` in the order of their data. Tensors of other types than F32, F16 and BF16 are listed with a
    /// ``StoredTensor/refusal``.
    package static func tensors(of file: ReadableFile) throws(FormatError) -> [StoredTensor] {
        guard file.size >= 8 else {
            throw FormatError(file.path, "is not a safetensors file: it has \(file.size) bytes")
        }
        let length = try file.readBytes(at: 0, count: 8).withUnsafeBytes { $0.littleEndian(at: 0, as: UInt64.self) }
        guard length <= headerLimit, length <= file.size - 8 else {
            throw FormatError(
                file.path, "is not a safetensors file: a header of \(length) bytes in a file of \(file.size)")
        }
        let header = try file.readBytes(at: 8, count: Int(length))
        guard header.first == UInt8(ascii: "{") else {
            throw FormatError(file.path, "is not a safetensors file: its header does not begin with {")
        }
        let entries = try JSONText.decode(SafetensorsHeader.self, from: header, of: file.path).entries
        return try place(entries, data: 8 + Int(length), in: file)
    }

    private static func place(
        _ entries: [(name: String, entry: SafetensorsEntry)], data: Int, in file: ReadableFile
    ) throws(FormatError) -> [StoredTensor] {
        var tensors: [StoredTensor] = []
        for (name, entry) in entries {
            func refused(_ fault: String) -> FormatError { FormatError(file.path, "tensor \(name.shown) \(fault)") }
            guard entry.data_offsets.count == 2 else { throw refused("has not two data offsets") }
            let (begin, end) = (entry.data_offsets[0], entry.data_offsets[1])
            guard begin >= 0, begin <= end, end <= file.size - data else {
                throw refused("lies at bytes \(begin) to \(end) of \(file.size - data) bytes of data")
            }
            guard let count = entry.shape.checkedProduct else { throw refused("has a shape too large to be true") }
            let (elementType, size) = elementType(entry.dtype)
            if let size {
                let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
                guard !overflow, bytes == end - begin else {
                    throw refused("of shape \(entry.shape) and type \(entry.dtype) is not \(end - begin) bytes long")
                }
            }
            tensors.append(
                StoredTensor(
                    name: name, elementType: elementType, shape: entry.shape, count: count, file: file,
                    offset: data + begin))
        }
        // Ends, not lengths, order the empty tensors among their neighbours.
        let order = entries.indices.sorted { left, right in
            let (a, b) = (entries[left], entries[right])
            return (a.entry.data_offsets[0], a.entry.data_offsets[1], a.name)
                < (b.entry.data_offsets[0], b.entry.data_offsets[1], b.name)
        }
        var covered = 0
        for index in order {
            let offsets = entries[index].entry.data_offsets
            guard offsets[0] == covered else {
                let fault = offsets[0] < covered ? "overlaps the one before it" : "leaves a hole before it"
                throw FormatError(file.path, "tensor \(entries[index].name.shown) \(fault)")
            }
            covered = offsets[1]
        }
        guard covered == file.size - data else {
            throw FormatError(file.path, "has \(file.size - data - covered) bytes that belong to no tensor")
        }
        return order.map { tensors[$0] }
    }

    /// The types of safetensors 0.8's `Dtype` whose elements are whole bytes. The length of a tensor of a type that is
    /// not here is not checked, and it cannot be read.
    private static func elementType(_ dtype: String) -> (ElementType, size: Int?) {
        switch dtype {
        case "F32": (.float32, 4)
        case "F16": (.float16, 2)
        case "BF16": (.bfloat16, 2)
        case "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0": (.other(dtype), 1)
        case "U16", "I16": (.other(dtype), 2)
        case "U32", "I32": (.other(dtype), 4)
        case "U64", "I64", "F64", "C64": (.other(dtype), 8)
        default: (.other(dtype), nil)
        }
    }
}

/// One tensor, with the format's own names. Numbers that are negative, fractional or beyond Int fail to decode.
private struct SafetensorsEntry: Decodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
}

/// The whole header: tensors by name, and `__metadata__`, an object of strings that says nothing about them.
private struct SafetensorsHeader: Decodable {
    let entries: [(name: String, entry: SafetensorsEntry)]

    struct Name: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        var entries: [(name: String, entry: SafetensorsEntry)] = []
        for key in container.allKeys {
            if key.stringValue == "__metadata__" {
                _ = try container.decode([String: String].self, forKey: key)
            } else {
                entries.append((key.stringValue, try container.decode(SafetensorsEntry.self, forKey: key)))
            }
        }
        self.entries = entries.sorted { $0.name < $1.name }
    }
}
