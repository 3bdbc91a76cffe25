import PhiFormat
import PhiJSON

/// What `tokenizer_config.json` or `special_tokens_map.json` says of a tokenizer.
struct TokenizerSettings: Decodable {
    /// Keys of the tokens that every tokenizer may name, in transformers' order.
    static let roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    let tokenizerClass: String?
    /// The names of options that are set.
    let options: Set<String>
    /// The tokens of keys that end in `_token`; nil for null.
    var named: [String: TokenText?] = [:]
    /// `extra_special_tokens`, a list or an object, which adds to `named`.
    let extra: [TokenText]?
    let additional: [TokenText]?
    /// `added_tokens_decoder` by id.
    let listed: [Int: TokenText]?

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: Key.self)
        func value<T: Decodable>(_ name: String, _ type: T.Type) throws -> T? {
            try keys.decodeIfPresent(type, forKey: Key(stringValue: name))
        }
        tokenizerClass = try value("tokenizer_class", String.self)
        options = Set(
            try ["add_prefix_space", "add_bos_token", "add_eos_token", "split_special_tokens"].filter {
                try value($0, Bool.self) == true
            })
        for key in keys.allKeys where key.stringValue.hasSuffix("_token") {
            if try keys.decodeNil(forKey: key) {
                named.updateValue(nil, forKey: key.stringValue)
            } else if Self.roles.contains(key.stringValue) {
                named[key.stringValue] = try keys.decode(TokenText.self, forKey: key)
            } else if let token = try? keys.decode(TokenText.self, forKey: key) {
                named[key.stringValue] = token
            }
        }
        if let byName = try? value("extra_special_tokens", [String: TokenText].self) {
            named.merge(byName) { $1 }
            extra = nil
        } else {
            extra = try value("extra_special_tokens", [TokenText].self)
        }
        additional = try value("additional_special_tokens", [TokenText].self)
        listed = try value("added_tokens_decoder", [String: TokenText].self).map { tokens in
            var byID: [Int: TokenText] = [:]
            for (key, token) in tokens {
                guard let id = Int(key) else {
                    throw DecodingError.dataCorrupted(
                        .init(
                            codingPath: keys.codingPath + [Key(stringValue: "added_tokens_decoder")],
                            debugDescription: "the key \(key.shown) is no id"))
                }
                byID[id] = token
            }
            return byID
        }
    }
}

extension AddedTokens {
    /// Adds the tokens that a checkpoint's files name, as `AutoTokenizer` of transformers 5 merges them: `_from_pretrained` in
    /// `tokenization_utils_base.py` and `__init__` in `tokenization_utils_tokenizers.py`. An `added_tokens_decoder` replaces
    /// the other files.
    ///
    /// - Parameters:
    ///   - fast: `added_tokens` of tokenizer.json.
    ///   - slow: The contents of added_tokens.json.
    ///   - isGPT2: Whether the tokenizer is made anew as GPT-2's, with its default roles, rather than taken from tokenizer.json.
    mutating func merge(
        _ config: TokenizerSettings?, _ map: TokenizerSettings?, fast: [TokenText], slow: [String: Int], isGPT2: Bool
    ) throws(FormatError) {
        if !isGPT2 { for token in fast { try add(token, listed: nil) } }
        var named = config?.named ?? [:]
        var extra = config?.extra ?? []
        if extra.isEmpty { extra = config?.additional ?? [] }
        var listed = config?.listed ?? [:]
        if config?.listed == nil {
            for (key, token) in map?.named ?? [:] {
                named.updateValue(token.map(Self.readAsSpecial), forKey: key)
            }
            extra += (map?.extra ?? []).map(Self.readAsSpecial)
            let special = Set(
                (TokenizerSettings.roles.compactMap { named[$0] ?? nil } + extra).map { Array($0.content.utf8) })
            if config?.extra == nil, config?.additional == nil, map?.extra == nil {
                extra = (map?.additional ?? []).map(Self.readAsSpecial)
            }
            for (content, id) in slow.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
                let token = TokenText(content, isSpecial: special.contains(Array(content.utf8)))
                guard listed.updateValue(token, forKey: id) == nil else {
                    throw FormatError(file, "two tokens have id \(id), one of them is \(content.shown)")
                }
            }
            var ids: Set<Int> = []
            for token in fast {
                guard let id = token.id else { throw FormatError(file, "token \(token.content.shown) has no id") }
                guard ids.insert(id).inserted || !isGPT2 else {
                    throw FormatError(file, "two tokens have id \(id), one of them is \(token.content.shown)")
                }
                listed[id] = token
            }
        }
        if isGPT2 {
            for role in ["bos_token", "eos_token", "unk_token"] where named[role] == nil {
                named[role] = TokenText("<|endoftext|>", isSpecial: true)
            }
        }
        let others = named.keys.filter { !TokenizerSettings.roles.contains($0) }.sorted()
        let roles = (TokenizerSettings.roles + others).compactMap { named[$0] ?? nil }
        let special = Set(roles.map { Array($0.content.utf8) })
        let fastIDs = !isGPT2 && config?.listed == nil
        for (id, token) in listed.sorted(by: { $0.key < $1.key }) {
            let isSpecial = token.isSpecial || special.contains(Array(token.content.utf8))
            try add(isSpecial ? token.madeSpecial() : token, listed: fastIDs && contains(token.content) ? nil : id)
        }
        let unlisted = (roles.map { $0.madeSpecial() } + extra).filter { !contains($0.content) }
        for token in unlisted { try add(token, listed: nil) }
    }

    /// The token of a file whose tokens are all special.
    private static func readAsSpecial(_ token: TokenText) -> TokenText {
        var token = token
        token.isSpecial = true
        return token
    }
}
