import PhiFormat
import PhiTokenizer

/// The tokenizer in a GGUF file: the keys `tokenizer.ggml.`, as llama.cpp's converter writes them for a byte-level BPE
/// (https://github.com/ggml-org/llama.cpp/blob/master/conversion/base.py, `get_vocab_base`).
struct GGUFTokenizer {
    let vocabulary: Vocabulary
    /// Rows of the embedding: the tokens and those that pad it.
    let rows: Int

    /// A token's type.
    private enum Kind {
        static let unknown = 2, control = 3, userDefined = 4, unused = 5
    }

    /// Names of the pre-tokenizer that llama.cpp gives phi; files of before May 2024 have none.
    private static let preTokenizers = ["phi-2", "gpt-2", "default"]

    /// Reads the tokenizer. Throws ``FormatError`` when there is none, it is of another kind, or ``TokenList`` refuses it.
    init(_ gguf: GGUFFile) throws(FormatError) {
        func key(_ name: String) -> String { "tokenizer.ggml." + name }
        func refused(_ fault: String) -> FormatError { FormatError(gguf.file.path, fault) }
        func need<Value>(_ value: Value?, _ name: String) throws(FormatError) -> Value {
            guard let value else { throw refused("has no key \(key(name).shown)") }
            return value
        }
        let model = try need(gguf.string(key("model")), "model")
        guard model == "gpt2" else {
            throw refused("tokenizer \(model.shown) is not supported; phi's is 'gpt2', a byte-level BPE")
        }
        if let name = try gguf.string(key("pre")), !Self.preTokenizers.contains(name) {
            throw refused("pre-tokenizer \(name.shown) is not supported; phi's is 'phi-2', GPT-2's")
        }
        for name in ["add_bos_token", "add_eos_token", "add_sep_token", "add_space_prefix"] {
            if try gguf.flag(key(name)) == true { throw refused("\(name) is set; phi's tokenizer does not know it") }
        }

        var tokens = try need(gguf.strings(key("tokens")), "tokens")
        let kinds = try gguf.integers(key("token_type")) ?? []
        guard kinds.isEmpty || kinds.count == tokens.count else {
            throw refused("has \(tokens.count) tokens, but types of \(kinds.count)")
        }
        func kind(_ id: Int) -> Int { kinds.isEmpty ? 1 : kinds[id] }
        rows = tokens.count
        // The embedding's padding has tokens that are not the tokenizer's. They were of other types before 2024.
        while let last = tokens.last, kind(tokens.count - 1) == Kind.unused || last == "[PAD\(tokens.count - 1)]" {
            tokens.removeLast()
        }

        // Control tokens that old converters took for plain ones, as Hugging Face's tokenizer does not.
        func isSpecial(_ id: Int) -> Bool {
            [Kind.unknown, Kind.control].contains(kind(id)) || tokens[id] == "<|endoftext|>"
        }
        func isAdded(_ id: Int) -> Bool { isSpecial(id) || kind(id) == Kind.userDefined }
        let baseEnd = tokens.indices.last { !isAdded($0) }.map { $0 + 1 } ?? 0
        var base: [String: Int] = [:]
        var others: [(id: Int, token: TokenText)] = []
        for (id, token) in tokens.enumerated() {
            if isAdded(id) {
                others.append((id, TokenText(token, isSpecial: isSpecial(id))))
                // An added token among the BPE's may be one of these as well; if it is not, no merge names it.
                if id >= baseEnd { continue }
            }
            guard base.updateValue(id, forKey: token) == nil else {
                throw refused("has the token \(token.shown) twice")
            }
        }
        let merges = try need(gguf.strings(key("merges")), "merges").map { line throws(FormatError) in
            let parts = splitMerge(line)
            guard parts.count == 2 else { throw refused("merge \(line.shown) is not a pair") }
            return (left: parts[0], right: parts[1])
        }
        var added = try AddedTokens(file: gguf.file.path, base: base)
        for (id, token) in others { try added.add(token, listed: id) }
        vocabulary = try TokenList(added: added, merges: merges, unknown: nil).vocabulary()
    }
}

extension EndsOfText {
    /// Finds the ends of text that a GGUF file names; `named` as in ``init(directory:_:named:)``.
    init(_ gguf: GGUFFile, _ vocabulary: Vocabulary, named: [String]) throws(FormatError) {
        let keys = ["eos", "eot", "eom"].map { "tokenizer.ggml.\($0)_token_id" }
        let ids = try keys.map { key throws(FormatError) in try gguf.integer(key) }
        try self.init(
            named: named, found: ids.compactMap { $0 }, in: keys[0], of: gguf.file.path, vocabulary, files: [])
    }
}
