import PhiFormat

/// Reads files of `torch.save` before torch 1.6, or with `_use_new_zipfile_serialization=False`: pickles one after another, then
/// the storages,
///
///     magic number | protocol version | system | state_dict | list of keys | for each key: u64 number of elements, elements
enum LegacyTorchFile {
    /// The magic number, 0x1950a86a20f9469cfc6c, and the version, 1001, as pickled.
    private static let head: [UInt8] = [
        0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E, 0x80, 2, 0x4D, 0xE9, 3,
        0x2E,
    ]

    static func canRead(_ file: ReadableFile) throws(FormatError) -> Bool {
        try file.readBytes(at: 0, count: min(head.count, file.size)) == head
    }

    /// The tensors of the state_dict, and where the storages lie by their keys. Throws ``FormatError`` with the first fault.
    static func contents(
        of file: ReadableFile
    ) throws(FormatError) -> (tensors: [(name: String, tensor: PickledTensor)], entries: [String: ZipDirectory.Entry]) {
        let size = min(file.size - head.count, Unpickler.byteLimit)
        let bytes = try file.readBytes(at: head.count, count: size)
        var unpickler = Unpickler(bytes, file.path)
        _ = try unpickler.next()
        // `little_endian`, its place in the memo, False
        let key = Array("little_endian".utf8)
        if let place = bytes[..<unpickler.position].firstRange(of: key)?.upperBound,
            bytes[min(place + 2, bytes.count - 1)] == 0x89
        {
            throw FormatError(file.path, "is of byte order 'big', not little")
        }
        let root = try unpickler.next()
        let listed = unpickler.listedTexts.count
        _ = try unpickler.next()

        var entries: [String: ZipDirectory.Entry] = [:]
        var position = head.count + unpickler.position
        for key in unpickler.listedTexts[listed...] {
            func refused(_ fault: String) -> FormatError { FormatError(file.path, "storage \(key.shown) \(fault)") }
            guard let type = unpickler.storages[key], let size = byteCount(type) else { throw refused("has no type") }
            let number = try file.readBytes(at: position, count: 8).withUnsafeBytes {
                $0.littleEndian(at: 0, as: UInt64.self)
            }
            position += 8
            guard number <= (file.size - position) / size else {
                throw refused("is \(number) elements long; if the file was cut off, download it again")
            }
            let bytes = Int(number) * size
            guard entries.updateValue(.init(name: key, offset: position, size: bytes), forKey: key) == nil else {
                throw refused("is there twice")
            }
            position += bytes
        }
        guard position == file.size else {
            throw FormatError(file.path, "has \(file.size - position) bytes that belong to no storage")
        }
        return (try unpickler.tensors(of: root), entries)
    }

    /// Bytes of an element in a file, also of types that are not read.
    private static func byteCount(_ type: ElementType) -> Int? {
        switch type {
        case .other("CharStorage"), .other("ByteStorage"), .other("BoolStorage"): 1
        case .other("ShortStorage"): 2
        case .other("IntStorage"): 4
        case .other("LongStorage"), .other("ComplexFloatStorage"): 8
        case .other("ComplexDoubleStorage"): 16
        default: type.size
        }
    }
}
