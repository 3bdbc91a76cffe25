import Foundation
import PhiFormat
import Testing

/// A folder for one test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/phi-format-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, over one of the same name, and opens it. The old one is overwritten and then cut to length: ext4 brings
    /// one that is first cut to nothing to the disk at once, and the fuzz tests write forty thousand.
    func file(_ name: String, _ bytes: [UInt8]) throws -> ReadableFile {
        let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        try #require(ftruncate(descriptor, off_t(bytes.count)) == 0)
        return try ReadableFile(path: path + "/" + name)
    }
}

/// The checkpoints that Tools/golden/checkpoints.py wrote.
func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("PhiConvertTests/Fixtures/" + name).path
}

/// All elements of a tensor.
func floats(_ tensor: StoredTensor) throws -> [Float] {
    var floats = [Float](repeating: .nan, count: tensor.count)
    try floats.withUnsafeMutableBufferPointer { buffer in try tensor.readFloats(0..<tensor.count, into: buffer) }
    return floats
}

/// The fault that `body` throws, or "" if it throws none.
func fault(_ body: () throws -> Void) -> String {
    do { try body() } catch let error as FormatError { return error.fault } catch {
        return "not a FormatError: \(error)"
    }
    return ""
}

/// SplitMix64: the same numbers in every run.
struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// One to four bytes changed, or a piece cut out, doubled or set to 0xFF.
    mutating func mutate(_ bytes: [UInt8], in range: Range<Int>) -> [UInt8] {
        var bytes = bytes
        let place = Int.random(in: range, using: &self)
        let length = min(Int.random(in: 1...12, using: &self), bytes.count - place)
        switch Int.random(in: 0..<8, using: &self) {
        case 0: bytes.removeSubrange(place..<place + length)
        case 1: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
        case 2: for index in place..<place + length { bytes[index] = 0xFF }
        case 3: bytes[place] = bytes.randomElement(using: &self) ?? 0
        default:
            for _ in 0..<Int.random(in: 1...4, using: &self) {
                bytes[Int.random(in: range, using: &self)] = UInt8.random(in: 0...255, using: &self)
            }
        }
        return bytes
    }
}

/// Little-endian bytes.
func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// A safetensors file of this header and `data` bytes of data, 0, 1, 2...
func safetensors(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
    littleEndian(length ?? UInt64(header.utf8.count)) + Array(header.utf8)
        + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

/// A zip archive of stored entries, written by hand so that tests can write wrong ones.
struct ZipWriter {
    var bytes: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// Sizes and offsets in zip64 fields, as in archives of more than 4 GiB.
    var isWide = false

    mutating func add(_ name: String, _ content: [UInt8]) {
        let offset = bytes.count
        let size = UInt32(content.count)
        let head = littleEndian(UInt16(45)) + littleEndian(flags) + littleEndian(method) + [0, 0, 0, 0, 0, 0, 0, 0]
        let wide = [1, 0, 24, 0] + (0..<2).flatMap { _ in littleEndian(UInt64(size)) } + littleEndian(UInt64(offset))
        let sizes = isWide ? [UInt8](repeating: 0xFF, count: 8) : littleEndian(size) + littleEndian(size)
        let nameLength = littleEndian(UInt16(name.utf8.count))
        bytes += [0x50, 0x4B, 3, 4] + head + littleEndian(size) + littleEndian(size) + nameLength + [3, 0]
        bytes += Array(name.utf8) + [0, 0, 0] + content
        directory += [0x50, 0x4B, 1, 2, 0, 0] + head + sizes + nameLength + [isWide ? 28 : 0, 0, 0, 0, 0, 0, 0, 0]
        directory += [0, 0, 0, 0] + (isWide ? [0xFF, 0xFF, 0xFF, 0xFF] : littleEndian(UInt32(offset)))
        directory += Array(name.utf8) + (isWide ? wide : [])
        count += 1
    }

    func finished() -> [UInt8] {
        let counts = littleEndian(UInt16(count)) + littleEndian(UInt16(count))
        var end = directory
        if isWide {
            let record = end.count + bytes.count
            let numbers = [count, count, directory.count, bytes.count].flatMap { littleEndian(UInt64($0)) }
            end += [0x50, 0x4B, 6, 6] + littleEndian(UInt64(44)) + [45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0] + numbers
            end += [0x50, 0x4B, 6, 7, 0, 0, 0, 0] + littleEndian(UInt64(record)) + [1, 0, 0, 0]
        }
        let sizes = littleEndian(UInt32(directory.count)) + littleEndian(UInt32(bytes.count))
        let last = isWide ? [UInt8](repeating: 0xFF, count: 12) : counts + sizes
        return bytes + end + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + last + [0, 0]
    }

    /// A torch archive with this pickle and the storage "0".
    static func torch(
        pickle: [UInt8], storage: [UInt8] = [], order: String = "little", _ change: (inout ZipWriter) -> Void = { _ in }
    ) -> [UInt8] {
        var zip = ZipWriter()
        change(&zip)
        zip.add("m/data.pkl", pickle)
        zip.add("m/byteorder", Array(order.utf8))
        zip.add("m/data/0", storage)
        return zip.finished()
    }
}
