import Foundation
import PhiCheckpoint
import PhiFormat
import Testing

/// The checkpoints that Tools/golden/checkpoints.py wrote.
package func fixture(_ name: String) -> String {
    repositoryFile("Tests/PhiCheckpointTests/Fixtures/" + name)
}

/// A copy of one of the fixtures that a test may spoil.
package final class CheckpointCopy {
    package let path: String
    private let folder: TemporaryFolder

    package init(of name: String = "current-safetensors-f32") throws {
        folder = try TemporaryFolder()
        path = folder.at("checkpoint")
        try FileManager.default.copyItem(atPath: fixture(name), toPath: path)
    }

    package func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path + "/" + name) }

    package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    }

    /// Opens the directory with one to four bytes of a file changed, many times; returns how often that went well.
    package func fuzz(_ name: String, rounds: Int, seed: UInt64, _ open: (String) throws -> Void) throws -> Int {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
        let syntax = Array("{}[]\",:0123456789-.eE\\".utf8)
        var random = SeededRandom(seed: seed)
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

    package func write(_ name: String, _ text: String) throws { try write(name, text.utf8) }

    package func read(_ name: String) throws -> String {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }

    /// Replaces text that must be there.
    package func replace(_ old: String, _ new: String, in name: String) throws {
        let text = try read(name)
        try #require(text.contains(old), "\(name) has no \(old)")
        try write(name, text.replacingOccurrences(of: old, with: new))
    }

    /// Writes model.safetensors anew with other tensors.
    package func rewrite(_ change: (inout [String: TestTensor]) -> Void) throws {
        var tensors: [String: TestTensor] = [:]
        for tensor in try CheckpointTensors(CheckpointPlace(path)).tensors.values {
            var floats = [Float](repeating: 0, count: tensor.count)
            try floats.withUnsafeMutableBufferPointer { try tensor.readFloats(0..<tensor.count, into: $0) }
            tensors[tensor.name] = TestTensor(shape: tensor.shape, floats: floats)
        }
        change(&tensors)
        try write("model.safetensors", safetensors(tensors))
    }
}
