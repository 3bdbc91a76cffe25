import Foundation
import PhiTokenizer

/// The golden files written by Tools/golden/tokenizer.py.
enum Goldens {
    /// A vocabulary: tokens in hexadecimal, merges as [left, right, result], added tokens as [id, special].
    struct Model: Decodable {
        let tokens: [String]
        let merges: [[TokenID]]
        let added: [[TokenID]]

        func vocabulary() throws -> Vocabulary {
            try Vocabulary(
                tokens: tokens.map(bytes(hex:)),
                merges: merges.map { Vocabulary.Merge(left: $0[0], right: $0[1], result: $0[2]) },
                addedTokens: added.map { Vocabulary.AddedToken(id: $0[0], isSpecial: $0[1] == 1) })
        }
    }

    struct Case: Decodable {
        let text: String
        let ids: [TokenID]
        /// The ids without recognition of special tokens, if different.
        let plain: [TokenID]?
    }

    struct Decode: Decodable {
        let ids: [TokenID]
        let text: String
    }

    struct Small: Decodable {
        let cases: [Case]
        let decodes: [Decode]
        let documentsPerHash: Int
        let documents: [String]
        let model: Model

        init(from decoder: Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            cases = try values.decode([Case].self, forKey: .cases)
            decodes = try values.decode([Decode].self, forKey: .decodes)
            documentsPerHash = try values.decode(Int.self, forKey: .documentsPerHash)
            documents = try values.decode([String].self, forKey: .documents)
            model = try Model(from: decoder)
        }

        private enum Key: CodingKey { case cases, decodes, documentsPerHash, documents }
    }

    struct SmallFile: Decodable {
        let seed: UInt64
        let white: Small
        let overlapping: Small
    }

    struct Classes: Decodable {
        let tokens: [String]
        let merges: [[TokenID]]
        let added: [[TokenID]]
        let codesPerHash: Int
        let hashes: [String]
    }

    struct CodeGen: Decodable {
        let seed: UInt64
        let documentsPerHash: Int
        let documents: [String]
        let humanEval: [String]
        let mbpp: [String]
    }

    static func read<File: Decodable>(_ name: String, as: File.Type = File.self) throws -> File {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: folder.appendingPathComponent(name)))
    }

    private static func bytes(hex: String) -> [UInt8] {
        let digits = hex.utf8.map { $0 < 0x61 ? $0 - 0x30 : $0 - 0x61 + 10 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

/// A 64-bit FNV-1a hash of token ids as little-endian 32-bit integers, with -1 after each document.
struct DocumentHash {
    private var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ document: [TokenID]) {
        for id in document + [-1] {
            for shift in [0, 8, 16, 24] as [Int32] {
                hash = (hash ^ UInt64(UInt8(truncatingIfNeeded: id >> shift))) &* 0x100_0000_01B3
            }
        }
    }

    var hex: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func of(_ documents: [[TokenID]]) -> String {
        var hash = DocumentHash()
        for document in documents { hash.add(document) }
        return hash.hex
    }
}
