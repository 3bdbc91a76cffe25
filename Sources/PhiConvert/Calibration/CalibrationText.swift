import CPhiCalibration
import Phi
import PhiFormat
import PhiTokenizer

/// A text on which a conversion measures the inputs of a model's matrices, so that rounding changes its outputs least.
package struct CalibrationText: Sendable {
    /// Its name in the file's provenance.
    package let name: String
    /// Its origin, for errors.
    let path: String
    let bytes: [UInt8]

    /// Most tokens that are used: four for each of phi-1's hidden columns.
    static let mostTokens = 8192
    /// Fewest tokens that a calibration needs.
    static let leastTokens = 1024
    /// Most tokens of a sequence.
    private static let window = 512

    /// The built-in text: generated exercises and this repository's own Python.
    package static var builtIn: CalibrationText {
        let bytes = UnsafeRawBufferPointer(start: phi_calibration_text(), count: phi_calibration_text_size())
        return CalibrationText(name: "builtin", path: "the built-in calibration text", bytes: [UInt8](bytes))
    }

    /// Its first tokens in sequences of at most 512. Throws ``FormatError`` when there are fewer than a calibration needs.
    func sequences(_ tokenizer: Tokenizer, context: Int) throws(FormatError) -> [[TokenID]] {
        // No text needs more than 32 bytes a token.
        let tokens = tokenizer.encode(bytes: Array(bytes.prefix(32 * Self.mostTokens)), specialTokens: false)
            .prefix(Self.mostTokens)
        guard tokens.count >= Self.leastTokens else {
            throw FormatError(path, "has \(tokens.count) tokens, a calibration needs \(Self.leastTokens)")
        }
        let size = min(Self.window, context)
        return stride(from: 0, to: tokens.count, by: size).map { Array(tokens[$0..<min($0 + size, tokens.count)]) }
    }

    /// Sequences of random tokens, for a conversion without a text: 1024 tokens, the same on any machine.
    static func randomSequences(vocabulary: Int, context: Int) -> [[TokenID]] {
        var generator = SplitMix64(seed: 0)
        let size = min(leastTokens / 4, context)
        return (0..<leastTokens / size).map { _ in
            (0..<size).map { _ in TokenID(generator.next() % UInt64(vocabulary)) }
        }
    }
}

extension CalibrationText {
    /// Reads a file of up to 64 MB. Throws ``FormatError`` when it cannot be read or is not UTF-8.
    package init(_ path: FilePath) throws(FormatError) {
        let file = try ReadableFile(path)
        let bytes = try file.readAll(limit: 64_000_000)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw FormatError(path, "is not UTF-8 text") }
        self.init(name: file.name, path: file.path, bytes: bytes)
    }
}
