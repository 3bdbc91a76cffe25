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
    /// Whether sequences come from all of it, rather than from its beginning.
    private let isSpread: Bool

    /// Most tokens that are used: four for each of phi-1's hidden columns.
    static let mostTokens = 8192
    /// Fewest tokens that a calibration needs.
    static let leastTokens = 1024
    /// Most tokens of a sequence.
    private static let window = 512

    /// The built-in text: generated exercises and this repository's own Python.
    package static var builtIn: CalibrationText {
        let bytes = UnsafeRawBufferPointer(start: phi_calibration_text(), count: phi_calibration_text_size())
        return CalibrationText(
            name: "builtin", path: "the built-in calibration text", bytes: [UInt8](bytes), isSpread: false)
    }

    /// Tokens in sequences of at most 512: all of them, or as many as are used. Throws ``FormatError`` when there are fewer than a
    /// calibration needs.
    func sequences(_ tokenizer: Tokenizer, context: Int) throws(FormatError) -> [[TokenID]] {
        let size = min(Self.window, context)
        func tokens(from start: Int, atMost count: Int) -> ArraySlice<TokenID> {
            // No text needs more than 32 bytes a token.
            let end = min(start + 32 * count, bytes.count)
            return tokenizer.encode(bytes: Array(bytes[start..<end]), specialTokens: false).prefix(count)
        }
        let first = tokens(from: 0, atMost: Self.mostTokens + 1)
        if isSpread, first.count > Self.mostTokens {
            let count = Self.mostTokens / size
            return (0..<count).map { Array(tokens(from: lineStart(from: $0 * bytes.count / count), atMost: size)) }
        }
        let all = Array(first.prefix(Self.mostTokens))
        guard all.count >= Self.leastTokens else {
            throw FormatError(path, "has \(all.count) tokens, a calibration needs \(Self.leastTokens)")
        }
        return stride(from: 0, to: all.count, by: size).map { Array(all[$0..<min($0 + size, all.count)]) }
    }

    /// The first start of a line from `place` on; where lines are long, of a character.
    private func lineStart(from place: Int) -> Int {
        if place == 0 { return 0 }
        let near = bytes[place..<min(place + 4096, bytes.count)]
        if let end = near.firstIndex(of: UInt8(ascii: "\n")), end + 1 < bytes.count { return end + 1 }
        return near.firstIndex { $0 & 0xC0 != 0x80 } ?? place
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
        self.init(name: file.name, path: file.path, bytes: bytes, isSpread: true)
    }
}
