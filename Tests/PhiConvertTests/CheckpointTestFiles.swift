import Foundation
import PhiConvert
import PhiFormat
import Testing

/// The checkpoints that Tools/golden/checkpoints.py wrote.
func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/" + name).path
}

/// The fault that `body` throws, or "" if it throws none.
func fault(_ body: () throws -> Void) -> String {
    do { try body() } catch let error as FormatError { return error.fault } catch {
        return "not a FormatError: \(error)"
    }
    return ""
}

/// A copy of one of the fixtures that a test may spoil.
final class Copy {
    let path: String

    init(of name: String = "current-safetensors-f32") throws {
        path = NSTemporaryDirectory() + "/phi-convert-" + UUID().uuidString
        try FileManager.default.copyItem(atPath: fixture(name), toPath: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path + "/" + name) }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    }

    /// Opens the directory with one to four bytes of a file changed, many times; returns how often that went well.
    func fuzz(_ name: String, rounds: Int, seed: UInt64, _ open: (String) throws -> Void) throws -> Int {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
        let syntax = Array("{}[]\",:0123456789-.eE\\".utf8)
        var random = Random(state: seed)
        var accepted = 0
        for _ in 0..<rounds {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                let byte = UInt8.random(in: 0...255, using: &random)
                damaged[place] = Bool.random(using: &random) ? byte : syntax[Int(byte) % syntax.count]
            }
            try remove(name)
            try write(name, damaged)
            do {
                try open(path)
                accepted += 1
            } catch {
                #expect(error is FormatError)
            }
        }
        return accepted
    }

    func write(_ name: String, _ text: String) throws { try write(name, text.utf8) }

    func read(_ name: String) throws -> String { try String(contentsOfFile: path + "/" + name, encoding: .utf8) }

    /// Replaces text that must be there.
    func replace(_ old: String, _ new: String, in name: String) throws {
        let text = try read(name)
        try #require(text.contains(old), "\(name) has no \(old)")
        try write(name, text.replacingOccurrences(of: old, with: new))
    }

    /// Writes model.safetensors anew with other tensors.
    func rewrite(_ change: (inout [String: TestTensor]) -> Void) throws {
        var tensors: [String: TestTensor] = [:]
        for tensor in try Checkpoint(directory: path).tensors.values {
            var floats = [Float](repeating: 0, count: tensor.count)
            try floats.withUnsafeMutableBufferPointer { try tensor.readFloats(0..<tensor.count, into: $0) }
            tensors[tensor.name] = TestTensor(shape: tensor.shape, floats: floats)
        }
        change(&tensors)
        try write("model.safetensors", safetensors(tensors))
    }
}

struct TestTensor {
    var shape: [Int]
    var floats: [Float]
    var type = "F32"

    init(shape: [Int], floats: [Float]? = nil, type: String = "F32") {
        self.shape = shape
        self.floats = floats ?? [Float](repeating: 0, count: shape.reduce(1, *))
        self.type = type
    }
}

func safetensors(_ tensors: [String: TestTensor]) -> [UInt8] {
    var entries: [String] = []
    var data: [UInt8] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        let begin = data.count
        for float in tensor.floats { withUnsafeBytes(of: float.bitPattern.littleEndian) { data += $0 } }
        entries.append(
            #""\#(name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(begin),\#(data.count)]}"#
        )
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    return length + header + data
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
}
