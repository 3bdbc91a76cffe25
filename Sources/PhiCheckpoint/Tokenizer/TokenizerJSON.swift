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
    let added_tokens: [TokenText]?
    let model: Model

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
        let processors: [PostProcessor]?

        var addsNothing: Bool {
            switch type {
            case "ByteLevel": true
            case "TemplateProcessing": single?.allSatisfy { $0.SpecialToken == nil } == true
            case "Sequence": processors?.allSatisfy(\.addsNothing) == true
            default: false
            }
        }
    }

    private struct PreTokenizer: Decodable {
        struct Pattern: Decodable {
            let Regex: String?
        }
        let type: String
        let add_prefix_space: Bool?
        let use_regex: Bool?
        let pattern: Pattern?
        let behavior: String?
        let invert: Bool?
        let pretokenizers: [PreTokenizer]?
    }

    struct Model: Decodable {
        let type: String?
        let unk_token: String?
        let fuse_unk: Bool?
        let dropout: Double?
        let continuing_subword_prefix: String?
        let end_of_word_suffix: String?
        let byte_fallback: Bool?
        let ignore_merges: Bool?
        let vocab: [String: Int]
        let merges: [Merge]

        var unknown: TokenList.Unknown? {
            unk_token.map { .init(content: $0, isFused: fuse_unk ?? false) }
        }
    }

    /// `"a b"`, or since tokenizers 0.20 `["a", "b"]`.
    struct Merge: Decodable {
        let parts: [String]

        init(from decoder: any Decoder) throws {
            parts = try (try? splitMerge(String(from: decoder))) ?? [String](from: decoder)
        }
    }

    private static let pattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Throws ``FormatError`` about `file` naming an option that is not supported. `isGPT2` tokenizers are made anew by Hugging
    /// Face, which then asks tokenizer_config.json for `add_prefix_space`.
    func check(_ file: String, isGPT2: Bool) throws(FormatError) {
        func refuse(_ isSet: Bool?, _ name: String) throws(FormatError) {
            if isSet == true { throw FormatError(file, "\(name) is set; phi's tokenizer does not know it") }
        }
        guard model.type ?? "BPE" == "BPE" else {
            throw FormatError(file, "model \((model.type ?? "").shown) is not BPE")
        }
        if let normalizer { throw FormatError(file, "normalizer \(normalizer.type.shown) is not supported") }
        // GPT-2's pattern is that of ByteLevel, or stands before one that does not split.
        var steps = pre_tokenizer.map { $0.type == "Sequence" ? $0.pretokenizers ?? [] : [$0] } ?? []
        var splits = false
        if steps.count == 2, let first = steps.first, first.type == "Split" {
            guard let regex = first.pattern?.Regex, regex == Self.pattern, first.behavior == "Isolated",
                first.invert != true
            else {
                let pattern = (first.pattern?.Regex ?? "text").shown
                throw FormatError(file, "pre_tokenizer 'Split' by \(pattern) is not GPT-2's")
            }
            splits = true
            steps.removeFirst()
        }
        guard steps.count == 1, let byteLevel = steps.first, byteLevel.type == "ByteLevel" else {
            let type = steps.first { $0.type != "ByteLevel" }?.type ?? pre_tokenizer?.type ?? "null"
            throw FormatError(file, "pre_tokenizer \(type.shown) is not ByteLevel, GPT-2's")
        }
        // Left out, tokenizers takes true for both.
        try refuse(!isGPT2 && byteLevel.add_prefix_space ?? true, "pre_tokenizer.add_prefix_space")
        try refuse(byteLevel.use_regex == false && !splits, "pre_tokenizer.use_regex false")
        try refuse(byteLevel.use_regex != false && splits, "pre_tokenizer.use_regex beside 'Split'")
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
    }

    /// The merges. Throws ``FormatError`` about `file` when one is not a pair.
    func merges(_ file: String) throws(FormatError) -> [(left: String, right: String)] {
        try model.merges.map { merge throws(FormatError) in
            guard merge.parts.count == 2 else {
                throw FormatError(file, "merge \(merge.parts.joined(separator: " ").shown) is not a pair")
            }
            return (left: merge.parts[0], right: merge.parts[1])
        }
    }
}

/// Splits `a b` at its spaces, at the first two at most; a merge has one.
func splitMerge(_ line: String) -> [String] {
    line.utf8.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false).map { String(Substring($0)) }
}
