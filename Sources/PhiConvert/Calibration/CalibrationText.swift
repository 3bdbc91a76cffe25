import CPhiCalibration
import PhiFormat
import PhiTokenizer

/// A text that shows a conversion what goes into a model's matrices, so that rounding spares what matters.
package struct CalibrationText: Sendable {
    /// What the file's provenance calls it.
    package let name: String
    /// Where it came from, for errors.
    let path: String
    private let bytes: [UInt8]

    /// Tokens that are used at most: four for each of phi-1's hidden columns (`Bench/README.md` has what more and fewer give).
    static let mostTokens = 8192
    /// Tokens without which there is nothing to learn.
    static let leastTokens = 1024
    /// Tokens that are run as one text.
    private static let window = 512

    /// The text inside: generated exercises and this repository's own Python.
    package static var builtIn: CalibrationText {
        let bytes = UnsafeRawBufferPointer(start: phi_calibration_text(), count: phi_calibration_text_size())
        return CalibrationText(name: "builtin", path: "the text inside", bytes: [UInt8](bytes))
    }

    /// Reads a file of up to 64 MB. Throws ``FormatError`` when it cannot be read or is not UTF-8.
    package init(path: String) throws(FormatError) {
        let bytes = try ReadableFile(path: path).readAll(limit: 64_000_000)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw FormatError(path, "is not UTF-8 text") }
        self.init(name: path.split(separator: "/").last.map(String.init) ?? path, path: path, bytes: bytes)
    }

    private init(name: String, path: String, bytes: [UInt8]) {
        self.name = name
        self.path = path
        self.bytes = bytes
    }

    /// SHA-256 of its bytes.
    var hash: SHA256Digest { bytes.withUnsafeBytes { SHA256Digest($0) } }

    /// Its first tokens in texts of at most 512. Throws ``FormatError`` when there are fewer than a calibration needs.
    func texts(_ tokenizer: Tokenizer, context: Int) throws(FormatError) -> [[TokenID]] {
        // No text needs more than 32 bytes a token.
        let tokens = tokenizer.encode(bytes: Array(bytes.prefix(32 * Self.mostTokens)), specialTokens: false)
            .prefix(Self.mostTokens)
        guard tokens.count >= Self.leastTokens else {
            throw FormatError(path, "has \(tokens.count) tokens, a calibration needs \(Self.leastTokens)")
        }
        let size = min(Self.window, context)
        return stride(from: 0, to: tokens.count, by: size).map { Array(tokens[$0..<min($0 + size, tokens.count)]) }
    }
}
