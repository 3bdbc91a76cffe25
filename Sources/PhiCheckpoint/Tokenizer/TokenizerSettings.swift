import PhiFormat
import PhiJSON

/// What `tokenizer_config.json` or `special_tokens_map.json` says of a tokenizer.
struct TokenizerSettings: Decodable {
    /// Keys of the tokens that every tokenizer may name, in transformers' order.
    static let roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    let tokenizerClass: String?
    /// The names of options that are set.
    let options: Set<String>
    /// The tokens of ``roles``; nil for null.
    var standard: [String: TokenText?] = [:]
    /// The tokens of other keys that end in `_token`.
    var others: [String: TokenText] = [:]
    /// `extra_special_tokens`, a list or an object by role.
    private(set) var extra: [TokenText]?
    private(set) var extraRoles: [String: TokenText]?
    private(set) var additional: [TokenText]?
    /// `added_tokens_decoder` by id.
    private(set) var listed: [Int: TokenText]?

    /// The settings with the file that their tokens are from.
    func from(_ file: String) -> TokenizerSettings {
        var settings = self
        settings.standard = standard.mapValues { $0?.from(file) }
        settings.others = others.mapValues { $0.from(file) }
        settings.extra = extra?.map { $0.from(file) }
        settings.extraRoles = extraRoles?.mapValues { $0.from(file) }
        settings.additional = additional?.map { $0.from(file) }
        settings.listed = listed?.mapValues { $0.from(file) }
        return settings
    }

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
            if Self.roles.contains(key.stringValue) {
                standard.updateValue(try keys.decodeIfPresent(TokenText.self, forKey: key), forKey: key.stringValue)
            } else if let token = try? keys.decode(TokenText.self, forKey: key) {
                others[key.stringValue] = token
            }
        }
        extraRoles = try? value("extra_special_tokens", [String: TokenText].self)
        extra = extraRoles == nil ? try value("extra_special_tokens", [TokenText].self) : nil
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
                // `"8"` and `"08"` are two keys; which comes first is chance.
                guard byID.updateValue(token, forKey: id) == nil else {
                    throw DecodingError.dataCorrupted(
                        .init(
                            codingPath: keys.codingPath + [Key(stringValue: "added_tokens_decoder")],
                            debugDescription: "two keys are the id \(id)"))
                }
            }
            return byID
        }
    }
}

/// The tokens with a role and the special ones without, of both settings files: `_from_pretrained` of transformers 5,
/// `tokenization_utils_base.py`.
private struct SpecialTokens {
    var standard: [String: TokenText?]
    var others: [String: TokenText]
    let extra: [TokenText]
    /// The special tokens among those of added_tokens.json. Objects of tokenizer_config.json do not count there.
    var inAddedTokens: Set<[UInt8]> = []

    /// `map` is nil where an `added_tokens_decoder` replaces it.
    init(_ config: TokenizerSettings?, _ map: TokenizerSettings?) {
        func special(_ tokens: [TokenText]) -> [TokenText] { tokens.map { $0.readAsSpecial() } }
        standard = config?.standard ?? [:]
        var extra = config?.extra, additional = config?.additional
        if config?.extraRoles?.isEmpty ?? true, extra?.isEmpty ?? true, additional != nil {
            (extra, additional) = (additional, nil)
        }
        var isString = standard.mapValues { $0?.isString ?? false }
        for (key, token) in map?.standard ?? [:] {
            standard.updateValue(token?.readAsSpecial(), forKey: key)
            isString[key] = true
        }
        if let more = map?.extra { extra = (extra ?? []) + special(more) }
        if map?.extraRoles != nil { extra = nil }
        if let more = map?.additional { additional = special(more) }
        inAddedTokens = Set(
            (standard.compactMap { isString[$0] == true ? $1 : nil } + (extra ?? [])).map { Array($0.content.utf8) })
        self.extra = extra ?? additional ?? []
        // Strings of tokenizer_config.json and extra roles go before special_tokens_map.json, and that before objects.
        others = config?.others ?? [:]
        others.merge((map?.others ?? [:]).mapValues { $0.readAsSpecial() }) { $1 }
        others.merge((config?.others ?? [:]).filter(\.value.isString)) { $1 }
        for roles in [config?.extraRoles, map?.extraRoles] { others.merge(roles ?? [:]) { $1 } }
    }
}

extension AddedTokens {
    /// Adds the tokens that a checkpoint's files name, as `AutoTokenizer` of transformers 5 merges them: `_from_pretrained` in
    /// `tokenization_utils_base.py` and `__init__` in `tokenization_utils_tokenizers.py`. An `added_tokens_decoder` replaces
    /// the other files.
    ///
    /// - Parameters:
    ///   - fast: `added_tokens` of tokenizer.json.
    ///   - slow: The contents of added_tokens.json, and its path.
    ///   - isGPT2: Whether the tokenizer is made anew as GPT-2's, with its default roles, rather than taken from tokenizer.json.
    mutating func merge(
        _ config: TokenizerSettings?, _ map: TokenizerSettings?, fast: [TokenText],
        slow: (ids: [String: Int], file: String)?, isGPT2: Bool
    ) throws(FormatError) {
        if !isGPT2 { for token in fast { try add(token, listed: nil, isListed: token.id != nil) } }
        let hasDecoder = config?.listed != nil
        var named = SpecialTokens(config, hasDecoder ? nil : map)
        var listed = config?.listed ?? [:]
        if !hasDecoder {
            for (content, id) in (slow?.ids ?? [:]).sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
                let file = slow?.file ?? file
                let isSpecial = named.inAddedTokens.contains(Array(content.utf8))
                guard listed.updateValue(TokenText(content, isSpecial: isSpecial).from(file), forKey: id) == nil else {
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
            for role in ["bos_token", "eos_token", "unk_token"] where named.standard[role] == nil {
                named.standard[role] = TokenText("<|endoftext|>", isSpecial: true)
            }
        }
        let standard = TokenizerSettings.roles.compactMap { named.standard[$0] ?? nil }
        let others = named.others.sorted { $0.key < $1.key }.map(\.value)
        let special = Set((standard + others).map { Array($0.content.utf8) })
        for (id, token) in listed.sorted(by: { $0.key < $1.key }) {
            let isSpecial = token.isSpecial || special.contains(Array(token.content.utf8))
            // Those of tokenizer.json have got their ids above.
            let isPlaced = !isGPT2 && !hasDecoder && contains(token.content)
            try add(isSpecial ? token.madeSpecial() : token, listed: isPlaced ? nil : id)
        }
        // Each once; of different ones with the same content the last counts.
        var seen: Set<TokenText> = []
        let unlisted = (standard + others + named.extra).filter { !contains($0.content) && seen.insert($0).inserted }
        // Objects have no order here, and the ids of two new tokens would depend on it.
        let new = Set(others.map { Array($0.content.utf8) }).subtracting(standard.map { Array($0.content.utf8) })
            .map { String(decoding: $0, as: UTF8.self) }.filter { !contains($0) && !isInBase($0) }
        if new.count > 1, let first = new.min() {
            let place = others.first { $0.content.utf8.elementsEqual(first.utf8) }?.file ?? file
            throw FormatError(place, "no file gives an id to \(first.shown) and to another token of a role of its own")
        }
        for token in unlisted {
            try add(special.contains(Array(token.content.utf8)) ? token.madeSpecial() : token, listed: nil)
        }
    }
}
