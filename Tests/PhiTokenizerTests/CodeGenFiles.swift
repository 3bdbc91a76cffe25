import Foundation
import PhiTokenizer

/// A minimal reader of vocab.json, merges.txt and added_tokens.json, independent of the one in PhiCheckpoint.
enum CodeGenFiles {
    static func vocabulary(_ folder: URL) throws -> Vocabulary {
        func object(_ name: String) throws -> [String: TokenID] {
            try JSONDecoder().decode(
                [String: TokenID].self, from: Data(contentsOf: folder.appendingPathComponent(name)))
        }
        let vocab = try object("vocab.json")
        let added = try object("added_tokens.json")
        let alphabet = byteLevelAlphabet()
        var tokens = [[UInt8]](repeating: [], count: vocab.count + added.count)
        for (text, id) in vocab { tokens[Int(id)] = text.unicodeScalars.compactMap { alphabet[$0] } }
        for (text, id) in added { tokens[Int(id)] = Array(text.utf8) }
        // The first line is a comment; eight merges begin with its first character, so only that line is dropped.
        let text = try String(contentsOf: folder.appendingPathComponent("merges.txt"), encoding: .utf8)
        let merges = try text.split(separator: "\n").dropFirst().map { line in
            let pair = line.split(separator: " ").map(String.init)
            guard pair.count == 2, let left = vocab[pair[0]], let right = vocab[pair[1]],
                let result = vocab[pair[0] + pair[1]]
            else { throw TokenizerError(fault: "merges.txt: \(line)") }
            return Vocabulary.Merge(left: left, right: right, result: result)
        }
        let endOfText = Vocabulary.AddedToken(id: vocab["<|endoftext|>"] ?? -1, isSpecial: true)
        let plain = added.values.sorted().map { Vocabulary.AddedToken(id: $0, isSpecial: false) }
        return try Vocabulary(tokens: tokens, merges: merges, addedTokens: [endOfText] + plain)
    }

    /// Returns the byte of each character of GPT-2's byte-level alphabet (`bytes_to_unicode` in encoder.py).
    private static func byteLevelAlphabet() -> [Unicode.Scalar: UInt8] {
        var table: [Unicode.Scalar: UInt8] = [:]
        var substitute: UInt32 = 256
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 33...126, 161...172, 174...255: table[Unicode.Scalar(byte)] = byte
            default:
                table[Unicode.Scalar(substitute) ?? " "] = byte
                substitute += 1
            }
        }
        return table
    }
}
