import PhiFormat
import PhiJSON
import PhiTokenizer

/// The tokenizer of a checkpoint directory: `tokenizer.json`, or else `vocab.json` with `merges.txt`; and the added tokens of
/// these and of `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.
package struct TokenizerFiles: Sendable {
    package let vocabulary: Vocabulary
    package let files: [ReadableFile]

    /// The longest file, and the most merges, that are read; phi's tokenizer.json has 2 MB, and 50,000 merges.
    private static let byteLimit = 16 << 20, mergeLimit = 1 << 20

    /// Reads the tokenizer in `directory`. Throws ``FormatError`` when there is none, a file is damaged, ids have holes, or an
    /// option would encode text differently from GPT-2's byte-level BPE.
    package init(directory: FilePath) throws(FormatError) {
        var files: [ReadableFile] = []
        func read<T: Decodable>(_ name: String, _ type: T.Type, limit: Int = JSONText.byteLimit) throws(FormatError)
            -> T?
        {
            guard let file = try openIfPresent(directory, name) else { return nil }
            files.append(file)
            return try JSONText.decode(type, from: file, limit: limit)
        }
        let names = try CheckpointFiles.vocabulary(where: presence(in: directory)) ?? []
        let fast = names.count == 1 ? try read(names[0], TokenizerJSON.self, limit: Self.byteLimit) : nil
        let base: [String: Int], merges: [(left: String, right: String)]
        if let fast {
            (base, merges) = (fast.model.vocab, try fast.merges(directory.appending("tokenizer.json").description))
        } else if names.count == 2, let vocab = try read(names[0], [String: Int].self, limit: Self.byteLimit) {
            let file = try ReadableFile(directory.appending(names[1]))
            files.append(file)
            (base, merges) = (vocab, try Self.merges(in: file))
        } else {
            throw FormatError(directory, CheckpointFiles.noVocabulary)
        }
        let main = files[0].path
        let model = try openIfPresent(directory, "config.json").map { file throws(FormatError) in
            try JSONText.decode(ModelKeys.self, from: file)
        }
        func path(_ name: String) -> String { directory.appending(name).description }
        func settings(_ name: String) throws(FormatError) -> TokenizerSettings? {
            try read(name, TokenizerSettings.self)?.from(path(name))
        }
        let config = try settings("tokenizer_config.json")
        let map = try settings("special_tokens_map.json")
        let slow = config?.listed == nil ? try read("added_tokens.json", [String: Int].self) : nil

        for (settings, name) in [(config, "tokenizer_config.json"), (map, "special_tokens_map.json")] {
            // Beside tokenizer.json, its post_processor alone says what is added.
            let refused = fast == nil ? ["add_bos_token", "add_eos_token"] : []
            for option in ["add_prefix_space", "split_special_tokens"] + refused
            where settings?.options.contains(option) == true {
                throw FormatError(directory.appending(name), "\(option) is set; phi's tokenizer does not know it")
            }
        }
        let ownClass = config?.tokenizerClass
        let isGPT2 =
            try Self.isGPT2(
                ownClass ?? model?.tokenizer_class, path(ownClass == nil ? "config.json" : "tokenizer_config.json"))
            || fast == nil
        try fast?.check(main, isGPT2: isGPT2)
        var added = try AddedTokens(file: main, base: base)
        try added.merge(
            config, map, fast: fast?.added_tokens ?? [], slow: slow.map { ($0, path("added_tokens.json")) },
            isGPT2: isGPT2)
        if let rows = model?.vocab_size { added.removeUnlisted(beyond: rows) }
        // GPT-2's has no unknown token, whatever the file says.
        let list = TokenList(added: added, merges: merges, unknown: isGPT2 ? nil : fast?.model.unknown)
        vocabulary = try list.vocabulary()
        self.files = files
    }

    private struct ModelKeys: Decodable {
        let tokenizer_class: String?
        let vocab_size: Int?
    }

    /// Whether Hugging Face makes a tokenizer of this class, which `file` names, anew from vocabulary and merges, rather than as
    /// tokenizer.json says.
    private static func isGPT2(_ name: String?, _ file: String) throws(FormatError) -> Bool {
        guard let name else { return true }
        switch name.hasSuffix("Fast") ? String(name.dropLast(4)) : name {
        case "GPT2Tokenizer", "CodeGenTokenizer": return true
        case "PreTrainedTokenizer", "TokenizersBackend", "PythonBackend": return false
        default:
            throw FormatError(
                file,
                "tokenizer_class \(name.shown) is not supported; GPT2Tokenizer, CodeGenTokenizer and"
                    + " PreTrainedTokenizerFast are")
        }
    }

    /// `merges.txt`: a line `#version: 0.2`, then a pair a line.
    private static func merges(in file: ReadableFile) throws(FormatError) -> [(left: String, right: String)] {
        let bytes = try file.readAll(limit: byteLimit)
        var merges: [(left: String, right: String)] = []
        var start = 0, number = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            let line = bytes[start..<end]
            let text = line.last == 0x0D ? line.dropLast() : line
            (start, number) = (end + 1, number + 1)
            if text.isEmpty || number == 1 && text.starts(with: "#version".utf8) { continue }
            let parts = splitMerge(String(decoding: text, as: UTF8.self))
            guard parts.count == 2 else { throw FormatError(file.path, "line \(number) is not a pair") }
            guard merges.count < mergeLimit else { throw FormatError(file.path, "has more than \(mergeLimit) merges") }
            merges.append((parts[0], parts[1]))
        }
        return merges
    }
}
