import PhiFormat

/// The header of a GGUF file, llama.cpp's format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
///
///     "GGUF" | u32 version | u64 tensors | u64 keys | (key, type, value)... | (name, dimensions, type, offset)... | data
///
/// Versions 2 and 3, little-endian. Everything is checked before a tensor is listed: each lies in the file, aligned, as long
/// as its shape says, and none overlaps another. Memory is a small multiple of the names' bytes; no element is read.
package struct GGUFFile {
    package let file: ReadableFile
    /// By name.
    package private(set) var tensors: [String: StoredTensor]
    private let values: [String: GGUFValue]

    /// The most keys or tensors that are read; a phi model of 1024 blocks has 18,000 tensors.
    private static let countLimit = 1 << 16
    /// The longest string that is read, the format's own limit for a key.
    private static let stringLimit = (1 << 16) - 1
    /// The longest array that is read into memory, in bytes and elements; phi has 51,200 tokens, of 1 MB.
    private static let arrayLimit = (bytes: 8 << 20, count: 1 << 18)

    /// Reads the header of `file`. Throws ``FormatError`` with the first rule of the format that it breaks, and for a file that
    /// is one of several.
    package init(_ file: ReadableFile) throws(FormatError) {
        self.file = file
        guard case .gguf? = try FileContent(file) else { throw FormatError(file.path, "is not a GGUF file") }
        var cursor = GGUFCursor(file, at: 4)
        let version = try cursor.integer(UInt32.self)
        if version != 0, version & 0xFFFF == 0 {
            throw FormatError(file.path, "is a big-endian GGUF file; gguf-convert-endian FILE little converts it")
        }
        guard (2...3).contains(version) else {
            throw FormatError(
                file.path, "is a GGUF file of version \(version), not 2 or 3; convert the checkpoint anew")
        }
        func count(_ name: String, leastBytes: Int) throws(FormatError) -> Int {
            let count = try cursor.count(of: leastBytes)
            guard count <= Self.countLimit else {
                throw FormatError(file.path, "has \(count) \(name); a phi model has fewer than \(Self.countLimit)")
            }
            return count
        }
        let tensorCount = try count("tensors", leastBytes: 25)
        let keyCount = try count("keys", leastBytes: 14)

        var values: [String: GGUFValue] = [:]
        for _ in 0..<keyCount {
            let key = try cursor.string(limit: Self.stringLimit, "a key")
            let type = try GGUFType(&cursor, key: key)
            let value = try GGUFValue(type, &cursor, key: key)
            guard values.updateValue(value, forKey: key) == nil else {
                throw FormatError(file.path, "has the key \(key.shown) twice")
            }
        }
        self.values = values
        tensors = [:]
        let parts = try integer("split.count") ?? 1
        guard parts <= 1 else {
            let part = (try integer("split.no") ?? 0) &+ 1
            throw FormatError(
                file.path,
                "is part \(part) of \(parts); join them by llama.cpp's llama-gguf-split --merge FIRST-PART OUT")
        }
        let alignment = try integer("general.alignment") ?? 32
        guard (1...1 << 20).contains(alignment), alignment.nonzeroBitCount == 1 else {
            throw FormatError(file.path, "has the alignment \(alignment), which is not a power of two")
        }
        tensors = try Self.tensors(tensorCount, &cursor, alignment: alignment)
    }

    /// Reads the list of tensors, which the data follows.
    private static func tensors(
        _ count: Int, _ cursor: inout GGUFCursor, alignment: Int
    ) throws(FormatError) -> [String: StoredTensor] {
        let file = cursor.file
        var listed: [(name: String, shape: [Int], type: UInt32, offset: UInt64)] = []
        for _ in 0..<count {
            let name = try cursor.string(limit: Self.stringLimit, "a tensor's name")
            let dimensions = try cursor.integer(UInt32.self)
            guard dimensions <= 4 else {
                throw FormatError(file.path, "tensor \(name.shown) has \(dimensions) dimensions, not 4 at most")
            }
            var shape: [Int] = []
            for _ in 0..<dimensions { shape.append(Int(clamping: try cursor.integer(UInt64.self))) }
            listed.append((name, shape.reversed(), try cursor.integer(UInt32.self), try cursor.integer(UInt64.self)))
        }
        // The header is in the file, so the sum is far from overflow; the data may begin at its end.
        let data = (cursor.position + alignment - 1) / alignment * alignment

        var tensors: [String: StoredTensor] = [:]
        var placed: [(begin: Int, end: Int, name: String)] = []
        for (name, shape, type, offset) in listed {
            func refused(_ fault: String) -> FormatError { FormatError(file.path, "tensor \(name.shown) \(fault)") }
            guard let elements = shape.checkedProduct else { throw refused("has a shape too large to be true") }
            let elementType = ElementType(ggml: type)
            let (blockElements, blockBytes) = elementType.block ?? (1, 0)
            guard (shape.last ?? 1) % blockElements == 0 else {
                throw refused("has rows of \(shape.last ?? 1) elements, which are no whole blocks of \(blockElements)")
            }
            let (bytes, tooLong) = (elements / blockElements).multipliedReportingOverflow(by: blockBytes)
            guard let offset = Int(exactly: offset), offset % alignment == 0 else {
                throw refused("lies at byte \(offset) of the data, which is not a multiple of \(alignment)")
            }
            let (begin, isFar) = data.addingReportingOverflow(offset)
            let (end, isFarther) = begin.addingReportingOverflow(bytes)
            guard !tooLong, !isFar, !isFarther, end <= file.size || bytes == 0 else {
                throw refused("goes beyond the file's \(file.size) bytes; it was cut short, download it again")
            }
            let tensor = StoredTensor(
                name: name, elementType: elementType, shape: shape, count: elements, file: file, offset: begin)
            guard tensors.updateValue(tensor, forKey: name) == nil else { throw refused("is listed twice") }
            if bytes > 0 { placed.append((begin, end, name)) }
        }
        placed.sort { ($0.begin, $0.end, $0.name) < ($1.begin, $1.end, $1.name) }
        for (before, next) in zip(placed, placed.dropFirst()) where next.begin < before.end {
            throw FormatError(file.path, "tensor \(next.name.shown) overlaps \(before.name.shown)")
        }
        return tensors
    }
}

/// Values of the metadata: nil if there is none of that key, ``FormatError`` if it is of another kind.
extension GGUFFile {
    func integer(_ key: String) throws(FormatError) -> Int? {
        guard let value = values[key] else { return nil }
        guard case .integer(let number) = value else { throw isNot("an integer", key) }
        return number
    }

    func number(_ key: String) throws(FormatError) -> Double? {
        switch values[key] {
        case nil: return nil
        case .real(let number): return number
        case .integer(let number): return Double(number)
        default: throw isNot("a number", key)
        }
    }

    func flag(_ key: String) throws(FormatError) -> Bool? {
        guard let value = values[key] else { return nil }
        guard case .flag(let flag) = value else { throw isNot("a bool", key) }
        return flag
    }

    package func string(_ key: String) throws(FormatError) -> String? {
        guard let value = values[key] else { return nil }
        guard case .text(let place) = value, place.count <= Self.stringLimit else { throw isNot("a short string", key) }
        return String(decoding: try file.readBytes(at: place.lowerBound, count: place.count), as: UTF8.self)
    }

    func integers(_ key: String) throws(FormatError) -> [Int]? {
        try elements(key, "integers") { type, cursor throws(FormatError) in
            guard case .integer(let number) = try GGUFValue(type, &cursor, key: key) else { return nil }
            return number
        }
    }

    func strings(_ key: String) throws(FormatError) -> [String]? {
        try elements(key, "strings") { type, cursor throws(FormatError) in
            guard type == .string else { return nil }
            return try cursor.string(limit: Self.stringLimit, "a string of \(key.shown)")
        }
    }

    private func elements<Element>(
        _ key: String, _ kind: String, _ read: (GGUFType, inout GGUFCursor) throws(FormatError) -> Element?
    ) throws(FormatError) -> [Element]? {
        guard let value = values[key] else { return nil }
        guard case .array(let type, let count, let place) = value else { throw isNot("an array of \(kind)", key) }
        guard place.count <= Self.arrayLimit.bytes, count <= Self.arrayLimit.count else {
            throw FormatError(
                file.path, "key \(key.shown) has \(count) elements of \(place.count) bytes, too many for phi")
        }
        var cursor = GGUFCursor(file, at: place.lowerBound)
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count {
            guard let element = try read(type, &cursor) else { throw isNot("an array of \(kind)", key) }
            elements.append(element)
        }
        return elements
    }

    /// As ``integer(_:)``, of a key that must be there.
    func need(_ key: String) throws(FormatError) -> Int {
        guard let value = try integer(key) else { throw FormatError(file.path, "has no key \(key.shown)") }
        return value
    }

    private func isNot(_ kind: String, _ key: String) -> FormatError {
        FormatError(file.path, "key \(key.shown) is not \(kind)")
    }
}
