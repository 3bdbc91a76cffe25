import PhiFormat

/// A value of a GGUF file's metadata. Texts and arrays stay in the file until they are asked for.
enum GGUFValue {
    /// An integer of any type, clamped to Int.
    case integer(Int)
    case real(Double)
    case flag(Bool)
    /// A string, by its place in the file.
    case text(Range<Int>)
    /// An array of `count` elements of one type, by its place in the file.
    case array(GGUFType, count: Int, Range<Int>)

    /// The most strings that are passed over, one by one, in search of an array's end.
    private static let stringsLimit = 1 << 24

    /// Reads a value of `type`; `key` is for faults.
    init(_ type: GGUFType, _ cursor: inout GGUFCursor, key: String) throws(FormatError) {
        switch type {
        case .uint8: self = .integer(Int(try cursor.integer(UInt8.self)))
        case .int8: self = .integer(Int(try cursor.integer(Int8.self)))
        case .uint16: self = .integer(Int(try cursor.integer(UInt16.self)))
        case .int16: self = .integer(Int(try cursor.integer(Int16.self)))
        case .uint32: self = .integer(Int(try cursor.integer(UInt32.self)))
        case .int32: self = .integer(Int(try cursor.integer(Int32.self)))
        case .uint64: self = .integer(Int(clamping: try cursor.integer(UInt64.self)))
        case .int64: self = .integer(Int(try cursor.integer(Int64.self)))
        case .float32: self = .real(Double(Float(bitPattern: try cursor.integer(UInt32.self))))
        case .float64: self = .real(Double(bitPattern: try cursor.integer(UInt64.self)))
        case .bool: self = .flag(try cursor.integer(UInt8.self) != 0)
        case .string: self = .text(try cursor.skipString())
        case .array:
            let element = try GGUFType(&cursor, key: key)
            // The format allows arrays in arrays; no key of a model has one, and llama.cpp refuses them too.
            guard element != .array else {
                throw FormatError(cursor.file.path, "key \(key.shown) is an array of arrays, which is not supported")
            }
            let count = try cursor.count(of: element.size ?? 8)
            let start = cursor.position
            if let size = element.size {
                try cursor.skip(count * size)  // no more than remains, as the count says
            } else {
                guard count <= Self.stringsLimit else {
                    throw FormatError(cursor.file.path, "key \(key.shown) has \(count) strings")
                }
                for _ in 0..<count { _ = try cursor.skipString() }
            }
            self = .array(element, count: count, start..<cursor.position)
        }
    }
}

/// The type of a value: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
enum GGUFType: UInt32 {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// Reads a type; `key` is for faults.
    init(_ cursor: inout GGUFCursor, key: String) throws(FormatError) {
        let number = try cursor.integer(UInt32.self)
        guard let type = GGUFType(rawValue: number) else {
            throw FormatError(cursor.file.path, "key \(key.shown) has the unknown type \(number)")
        }
        self = type
    }

    /// Bytes of a value; nil if they vary.
    var size: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }
}
