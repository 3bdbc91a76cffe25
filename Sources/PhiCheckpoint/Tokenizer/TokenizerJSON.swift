import PhiFormat

/// `tokenizer.json` of the Hugging Face tokenizers library, as far as a GPT-2 style byte-level BPE uses it:
/// https://github.com/huggingface/tokenizers, `tokenizers/src/models/bpe/serialization.rs` and its neighbours.
///
/// Options that would change the ids of a text are refused by name.
struct TokenizerJSON: Decodable {
    private let normalizer: Component?
    private let pre_tokenizer: PreTokenizer?
    private let post_processor: PostProcessor?
    private let decoder: Component?
    private let added_tokens: [AddedToken]?
    private let model: Model

    private struct Component: Decodable {
        struct Empty: Decodable {}
        let type: String
    }

    /// Tokens that are added around a text's own. There may be none: phi's prompts are the text alone.
    private struct PostProcessor: Decodable {
        struct Piece: Decodable {
            let SpecialToken: Component.Empty?
        }
        let type: String
        let single: [Piece]?

        var addsNothing: Bool {
            type == "ByteLevel" || type == "TemplateProcessing" && single?.allSatisfy { $0.SpecialToken == nil } == true
        }
    }

    private struct PreTokenizer: Decodable {
        let type: String
        let add_prefix_space: Bool?
        let use_regex: Bool?
    }

    private struct AddedToken: Decodable {
        let id: Int
        let content: String
        let single_word: Bool?
        let lstrip: Bool?
        let rstrip: Bool?
        let special: Bool?
    }

    private struct Model: Decodable {
        let type: String?
        let dropout: Double?
        let continuing_subword_prefix: String?
        let end_of_word_suffix: String?
        let byte_fallback: Bool?
        let ignore_merges: Bool?
        let vocab: [String: Int]
        let merges: [Merge]
    }

    /// `"a b"`, or since tokenizers 0.20 `["a", "b"]`.
    private struct Merge: Decodable {
        let parts: [String]

        init(from decoder: any Decoder) throws {
            parts = try (try? splitMerge(String(from: decoder))) ?? [String](from: decoder)
        }
    }

    /// The tokens, or ``FormatError`` about `file` naming the option that is not supported.
    func tokens(_ file: String) throws(FormatError) -> TokenList {
        func refuse(_ isSet: Bool?, _ name: String) throws(FormatError) {
            if isSet == true { throw FormatError(file, "\(name) is set; phi's tokenizer does not know it") }
        }
        guard model.type ?? "BPE" == "BPE" else {
            throw FormatError(file, "model \((model.type ?? "").shown) is not BPE")
        }
        if let normalizer { throw FormatError(file, "normalizer \(normalizer.type.shown) is not supported") }
        guard let pre_tokenizer, pre_tokenizer.type == "ByteLevel" else {
            throw FormatError(file, "pre_tokenizer \((pre_tokenizer?.type ?? "null").shown) is not ByteLevel")
        }
        // Left out, tokenizers takes true for both.
        try refuse(pre_tokenizer.add_prefix_space ?? true, "pre_tokenizer.add_prefix_space")
        try refuse(pre_tokenizer.use_regex == false, "pre_tokenizer.use_regex false")
        if let post_processor, !post_processor.addsNothing {
            throw FormatError(file, "post_processor \(post_processor.type.shown) adds tokens, which is not supported")
        }
        if let decoder, decoder.type != "ByteLevel" {
            throw FormatError(file, "decoder \(decoder.type.shown) is not ByteLevel")
        }
        try refuse(model.dropout.map { $0 != 0 }, "model.dropout")
        try refuse(model.continuing_subword_prefix?.isEmpty == false, "model.continuing_subword_prefix")
        try refuse(model.end_of_word_suffix?.isEmpty == false, "model.end_of_word_suffix")
        try refuse(model.byte_fallback, "model.byte_fallback")
        try refuse(model.ignore_merges, "model.ignore_merges")
        var added: [TokenList.Added] = []
        for token in added_tokens ?? [] {
            let name = "added token \(token.content.shown)"
            try refuse(token.single_word, "single_word of \(name)")
            try refuse(token.lstrip, "lstrip of \(name)")
            try refuse(token.rstrip, "rstrip of \(name)")
            added.append(.init(id: token.id, content: token.content, isSpecial: token.special ?? false))
        }
        let merges = try model.merges.map { merge throws(FormatError) in
            guard merge.parts.count == 2 else {
                throw FormatError(file, "merge \(merge.parts.joined(separator: " ").shown) is not a pair")
            }
            return (left: merge.parts[0], right: merge.parts[1])
        }
        return TokenList(file: file, base: model.vocab, merges: merges, added: added)
    }
}

/// Splits `a b` at its spaces; a merge has one.
func splitMerge(_ line: String) -> [String] {
    line.utf8.split(separator: 0x20, omittingEmptySubsequences: false).map { String(Substring($0)) }
}
