import PhiFormat
import PhiJSON
import PhiTokenizer

/// The tokenizer of a checkpoint directory: `tokenizer.json`, or else `vocab.json` with `merges.txt` and, where there are
/// added tokens, `added_tokens.json`.
package struct TokenizerFiles: Sendable {
    package let vocabulary: Vocabulary
    package let files: [ReadableFile]

    /// Reads the tokenizer in `directory`. Throws ``FormatError`` when there is none, a file is damaged, ids have holes, or an
    /// option would encode text differently from GPT-2's byte-level BPE.
    package init(directory: FilePath) throws(FormatError) {
        let settings = try SpecialTokens(directory: directory)
        let list: TokenList
        if let file = try openIfPresent(directory, "tokenizer.json") {
            list = try JSONText.decode(TokenizerJSON.self, from: file).tokens(file.path)
            files = [file] + settings.files
        } else if let vocab = try openIfPresent(directory, "vocab.json") {
            let merges = try ReadableFile(directory.appending("merges.txt"))
            let added = try openIfPresent(directory, "added_tokens.json")
            let base = try JSONText.decode([String: Int].self, from: vocab)
            let more = try added.map { file throws(FormatError) in try JSONText.decode([String: Int].self, from: file) }
            list = TokenList(
                file: vocab.path, base: base, merges: try Self.merges(in: merges),
                added: try settings.addedTokens(base: base, more: more ?? [:]))
            files = [vocab, merges] + (added.map { [$0] } ?? []) + settings.files
        } else {
            throw FormatError(directory, "holds no tokenizer: no tokenizer.json, no vocab.json with merges.txt")
        }
        vocabulary = try list.vocabulary()
    }

    /// `merges.txt`: a line `#version: 0.2`, then a pair a line.
    private static func merges(in file: ReadableFile) throws(FormatError) -> [(left: String, right: String)] {
        let bytes = try file.readAll(limit: 64 << 20)
        var merges: [(left: String, right: String)] = []
        for (number, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let text = line.last == 0x0D ? line.dropLast() : line
            if text.isEmpty || number == 0 && text.starts(with: "#version".utf8) { continue }
            let parts = splitMerge(String(decoding: text, as: UTF8.self))
            guard parts.count == 2 else { throw FormatError(file.path, "line \(number + 1) is not a pair") }
            merges.append((parts[0], parts[1]))
        }
        return merges
    }
}

/// The special tokens of a tokenizer without `tokenizer.json`, from `tokenizer_config.json` and `special_tokens_map.json`.
/// `<|endoftext|>` is always one.
private struct SpecialTokens {
    static let endOfText = "<|endoftext|>"

    let files: [ReadableFile]
    private let names: [String]

    init(directory: FilePath) throws(FormatError) {
        var files: [ReadableFile] = []
        var names = [Self.endOfText]
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            guard let file = try openIfPresent(directory, name) else { continue }
            let keys = try JSONText.decode(Keys.self, from: file)
            if keys.add_prefix_space == true {
                throw FormatError(file.path, "add_prefix_space is set; phi's tokenizer does not know it")
            }
            names += [keys.bos_token, keys.eos_token, keys.unk_token, keys.pad_token].compactMap { $0?.content }
            names += (keys.additional_special_tokens ?? []).map(\.content)
            files.append(file)
        }
        self.files = files
        self.names = names
    }

    /// The tokens of `added_tokens.json`, and the special ones that are in `vocab.json`.
    func addedTokens(base: [String: Int], more: [String: Int]) throws(FormatError) -> [TokenList.Added] {
        let special = Set(names)
        var added = more.sorted { $0.value < $1.value }.map { content, id in
            TokenList.Added(id: id, content: content, isSpecial: special.contains(content))
        }
        for name in special.sorted() where more[name] == nil {
            if let id = base[name] {
                added.append(.init(id: id, content: name, isSpecial: true))
            } else if name != Self.endOfText {
                throw FormatError(files.first?.path ?? "", "names the special token \(name.shown), which has no id")
            }
        }
        return added
    }

    private struct Keys: Decodable {
        let add_prefix_space: Bool?
        let bos_token: TokenText?
        let eos_token: TokenText?
        let unk_token: TokenText?
        let pad_token: TokenText?
        let additional_special_tokens: [TokenText]?
    }
}

/// A token in a tokenizer's settings: a string, or an object with a `content`.
struct TokenText: Decodable {
    let content: String

    private enum CodingKeys: String, CodingKey { case content }

    init(from decoder: any Decoder) throws {
        content =
            try (try? String(from: decoder))
            ?? decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .content)
    }
}
