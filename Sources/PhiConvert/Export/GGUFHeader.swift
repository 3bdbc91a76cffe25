import PhiFormat

/// The header of a GGUF file that is written: keys and tensors in the order in which they are added; version 3, little-endian.
struct GGUFHeader {
    /// Multiple at which every tensor begins, the format's default.
    static let alignment = 32

    private var keys: [UInt8] = []
    private var keyCount: UInt64 = 0
    private var tensors: [UInt8] = []
    private var tensorCount: UInt64 = 0
    /// Bytes of data, with the padding behind each tensor.
    private(set) var dataBytes = 0

    mutating func add(_ key: String, _ number: UInt32) { add(key, type: 4, bytes(number)) }
    mutating func add(_ key: String, _ number: Float) { add(key, type: 6, bytes(number.bitPattern)) }
    mutating func add(_ key: String, _ flag: Bool) { add(key, type: 7, [flag ? 1 : 0]) }
    mutating func add(_ key: String, _ text: String) { add(key, type: 8, string(Array(text.utf8))) }
    mutating func add(_ key: String, _ numbers: [Int32]) {
        add(key, type: 9, bytes(UInt32(5)) + bytes(UInt64(numbers.count)) + numbers.flatMap(bytes))
    }
    mutating func add(_ key: String, _ texts: [[UInt8]]) {
        add(key, type: 9, bytes(UInt32(8)) + bytes(UInt64(texts.count)) + texts.flatMap(string))
    }

    /// Adds a tensor of `bytes` bytes; `shape` is outermost first.
    mutating func add(tensor name: String, shape: [Int], type: ExportType, bytes count: Int) {
        tensors += string(Array(name.utf8)) + bytes(UInt32(shape.count))
        for dimension in shape.reversed() { tensors += bytes(UInt64(dimension)) }
        tensors += bytes(type.number) + bytes(UInt64(dataBytes))
        tensorCount += 1
        dataBytes = Self.aligned(dataBytes + count)
    }

    /// All bytes before the data.
    var contents: [UInt8] {
        let all = Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(tensorCount) + bytes(keyCount) + keys + tensors
        return all + [UInt8](repeating: 0, count: Self.aligned(all.count) - all.count)
    }

    /// `count` rounded up to the alignment.
    static func aligned(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    private mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
        keys += string(Array(key.utf8)) + bytes(type) + value
        keyCount += 1
    }

    private func string(_ text: [UInt8]) -> [UInt8] { bytes(UInt64(text.count)) + text }

    private func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }
}
