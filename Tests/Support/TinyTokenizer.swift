import Foundation
import PhiCheckpoint
import PhiTokenizer

/// A byte-level BPE by the rule of Tools/phitools/byte_tokenizer.py: ids 0 to 255 are bytes in GPT-2's order, 256 is
/// `<|endoftext|>`, the others are merges of two frequent bytes.
package enum TinyTokenizer {
    package static let endOfText = 256

    /// `tokenizer.json` of `tokens` tokens, 257 at least.
    package static func json(tokens: Int) -> String {
        let alphabet = byteLevelAlphabet
        var vocabulary = alphabet.enumerated().map { id, entry in (entry.letter, id) }
        vocabulary.append(("<|endoftext|>", 256))
        let letters = Dictionary(uniqueKeysWithValues: alphabet)
        let frequent = Array(" etaoinshrdlcumwfgypbvk".utf8).compactMap { letters[$0] }
        var merges: [String] = []
        for number in frequent.indices {
            let pairs = frequent[..<number].flatMap { [($0, frequent[number]), (frequent[number], $0)] }
            for (left, right) in pairs + [(frequent[number], frequent[number])] where vocabulary.count < tokens {
                vocabulary.append((left + right, vocabulary.count))
                merges.append("[\(quoted(left)), \(quoted(right))]")
            }
        }
        let entries = vocabulary.map { "\(quoted($0.0)): \($0.1)" }.joined(separator: ", ")
        let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#
        return """
            {"version": "1.0", "normalizer": null, "pre_tokenizer": \(byteLevel), "post_processor": null,
            "decoder": \(byteLevel), "added_tokens": [{"id": 256, "content": "<|endoftext|>", "special": true}],
            "model": {"type": "BPE", "vocab": {\(entries)}, "merges": [\(merges.joined(separator: ", "))]}}
            """
    }

    /// The vocabulary of `tokens` tokens.
    package static func vocabulary(tokens: Int) throws -> Vocabulary {
        let folder = try TemporaryFolder()
        try folder.write("tokenizer.json", json(tokens: tokens))
        return try TokenizerFiles(directory: folder.path).vocabulary
    }

    /// GPT-2's printable character for each byte, in the order of its ids.
    private static var byteLevelAlphabet: [(byte: UInt8, letter: String)] {
        let plain = Array(33...126) + Array(161...172) + Array(174...255)
        let others = (0...255).filter { !plain.contains($0) }
        let codes = plain.map { ($0, $0) } + others.enumerated().map { ($1, 256 + $0) }
        return codes.compactMap { byte, code in Unicode.Scalar(code).map { (UInt8(byte), String(Character($0))) } }
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}
