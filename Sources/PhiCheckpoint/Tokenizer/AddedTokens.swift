import PhiFormat
import PhiTokenizer

/// A token in a tokenizer's files: a string, or an object with a `content` and flags (`AddedToken` of Hugging Face's tokenizers).
struct TokenText: Decodable, Hashable {
    let content: String
    /// The id that tokenizer.json gives it.
    let id: Int?
    /// Whether it is a marker rather than text. Strings are tokens with a role, and special.
    var isSpecial: Bool
    private var normalized: Bool?
    let isString: Bool
    /// The flags set that phi's tokenizer does not know.
    let unsupported: [String]
    /// The file that it is from, for faults; nil for that of ``AddedTokens``.
    private(set) var file: String?

    private enum CodingKeys: String, CodingKey { case content, id, special, normalized, lstrip, rstrip, single_word }

    /// Whether it is matched in the second pass.
    var isNormalized: Bool { normalized ?? !isSpecial }

    init(_ content: String, isSpecial: Bool) {
        self.content = content
        self.isSpecial = isSpecial
        id = nil
        isString = true
        unsupported = []
    }

    init(from decoder: any Decoder) throws {
        if let text = try? String(from: decoder) {
            self = TokenText(text, isSpecial: true)
            return
        }
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        content = try keys.decode(String.self, forKey: .content)
        isString = false
        id = try keys.decodeIfPresent(Int.self, forKey: .id)
        isSpecial = try keys.decodeIfPresent(Bool.self, forKey: .special) ?? false
        normalized = try keys.decodeIfPresent(Bool.self, forKey: .normalized)
        unsupported = try [.lstrip, .rstrip, .single_word]
            .filter { try keys.decodeIfPresent(Bool.self, forKey: $0) == true }.map(\.rawValue)
    }

    /// Tokens are compared as `AddedToken` compares them.
    static func == (first: TokenText, second: TokenText) -> Bool {
        first.content.utf8.elementsEqual(second.content.utf8) && first.isString == second.isString
            && first.isSpecial == second.isSpecial && first.isNormalized == second.isNormalized
            && first.unsupported == second.unsupported
    }

    func hash(into hasher: inout Hasher) {
        for byte in content.utf8 { hasher.combine(byte) }
    }

    /// The token with the file that it is from.
    func from(_ file: String) -> TokenText {
        var token = self
        token.file = file
        return token
    }

    /// The token as it is in a file whose tokens are all special.
    func readAsSpecial() -> TokenText {
        var token = self
        token.isSpecial = true
        return token
    }

    /// The token as a special one that is matched in the same pass.
    func madeSpecial() -> TokenText {
        var token = self
        token.normalized = isNormalized
        token.isSpecial = true
        return token
    }
}

/// The added tokens of a tokenizer and their ids, as Hugging Face's tokenizers gives them: a token that the BPE has keeps its
/// id, others get the next ones in order. Adding a token again replaces its flags, but a special one stays special.
struct AddedTokens {
    struct Token {
        let id: Int
        var text: TokenText
        /// Whether a file gives it an id.
        let isListed: Bool
    }

    /// The file that faults are about, unless they are a token's that is from another.
    let file: String
    /// Tokens of the BPE, in the byte-level alphabet.
    let base: [String: Int]
    /// In the order in which they were added.
    private(set) var tokens: [Token] = []
    private var positions: [[UInt8]: Int] = [:]
    private var next: Int
    private var bytes = 0

    /// The most tokens, and bytes of them all, that are added; a matcher takes some fifty bytes for each.
    private static let countLimit = 1 << 16, byteLimit = 1 << 20

    /// Creates an empty list. Throws ``FormatError`` when the ids of `base` are not those from 0 to its count.
    init(file: String, base: [String: Int]) throws(FormatError) {
        self.file = file
        self.base = base
        next = base.count
        var isTaken = [Bool](repeating: false, count: base.count)
        for (text, id) in base {
            guard id >= 0, TokenID(exactly: id) != nil else {
                throw FormatError(file, "token \(text.shown) has id \(id)")
            }
            if id < base.count { isTaken[id] = true }
        }
        if let hole = isTaken.firstIndex(of: false) {
            throw FormatError(
                file, "has no token of id \(hole) among the \(base.count) of its vocabulary")
        }
    }

    func contains(_ content: String) -> Bool { positions[Array(content.utf8)] != nil }
    func isInBase(_ content: String) -> Bool { baseID(of: content) != nil }

    /// Adds a token. Throws ``FormatError`` when `listed`, the id that a file gives it, is another: then Hugging Face's slow and
    /// fast tokenizers differ. `isListed` is true if a file gives it an id that is not compared.
    mutating func add(_ token: TokenText, listed: Int?, isListed: Bool? = nil) throws(FormatError) {
        if token.content.isEmpty { return }
        if let listed, listed < 0 || TokenID(exactly: listed) == nil {
            throw FormatError(token.file ?? file, "token \(token.content.shown) has id \(listed)")
        }
        if let position = positions[Array(token.content.utf8)] {
            try check(listed, tokens[position], token)
            let wasSpecial = tokens[position].text.isSpecial
            tokens[position].text = token
            tokens[position].text.isSpecial = token.isSpecial || wasSpecial
            return
        }
        let added = Token(id: baseID(of: token.content) ?? next, text: token, isListed: isListed ?? (listed != nil))
        if let listed, added.id == next, listed != next {
            throw FormatError(
                token.file ?? file,
                listed > next
                    ? "has no token of id \(next), though there are higher ones"
                    : "two tokens have id \(listed), one of them is \(token.content.shown)")
        }
        try check(listed, added, token)
        bytes += token.content.utf8.count
        guard tokens.count < Self.countLimit, bytes <= Self.byteLimit else {
            throw FormatError(
                token.file ?? file, "has more added tokens than any tokenizer, the last is \(token.content.shown)")
        }
        positions[Array(token.content.utf8)] = tokens.count
        tokens.append(added)
        next = max(next, added.id + 1)
    }

    /// Throws ``FormatError`` when `listed` is not the id of `token`, as which `new` is added.
    private func check(_ listed: Int?, _ token: Token, _ new: TokenText) throws(FormatError) {
        guard let listed, listed != token.id else { return }
        throw FormatError(
            new.file ?? file, "token \(token.text.content.shown) has the two ids \(token.id) and \(listed)")
    }

    /// Strings that are canonically equivalent are equal keys, but different tokens.
    private func baseID(of content: String) -> Int? {
        guard let entry = base.index(forKey: content), base[entry].key.utf8.elementsEqual(content.utf8) else {
            return nil
        }
        return base[entry].value
    }

    /// Removes tokens without a listed id that would follow the last of a model's `rows`.
    mutating func removeUnlisted(beyond rows: Int) {
        tokens.removeAll { !$0.isListed && $0.id >= rows && $0.id >= base.count }
        positions = [:]
        for (position, token) in tokens.enumerated() { positions[Array(token.text.content.utf8)] = position }
    }

    /// The tokens for a vocabulary. Throws ``FormatError`` naming a flag that is not supported.
    func forVocabulary() throws(FormatError) -> [Vocabulary.AddedToken] {
        for token in tokens {
            guard let flag = token.text.unsupported.first else { continue }
            throw FormatError(
                token.text.file ?? file,
                "\(flag) of added token \(token.text.content.shown) is set; phi's tokenizer does not know it")
        }
        let secondMatters = passesDiffer
        return tokens.sorted { $0.id < $1.id }.map {
            .init(
                id: TokenID($0.id), isSpecial: $0.text.isSpecial,
                isInSecondPass: secondMatters && $0.text.isNormalized)
        }
    }

    /// Whether matching the normalized tokens in a second pass could give other ids than matching all tokens in one.
    ///
    /// It cannot if no match of a normalized token begins before an overlapping one of another token, or begins with it and is
    /// longer: then every token that the first pass matches is the leftmost and longest of all there. True as well when there
    /// are too many tokens to compare.
    private var passesDiffer: Bool {
        let first = tokens.filter { !$0.text.isNormalized }.map { Array($0.text.content.utf8) }
        var stepsLeft = 1 << 24
        for later in tokens where later.text.isNormalized {
            let bytes = Array(later.text.content.utf8)
            for start in bytes.indices {
                for token in first {
                    let overlap = min(token.count, bytes.count - start)
                    var equal = 0
                    while equal < overlap, token[equal] == bytes[start + equal] { equal += 1 }
                    stepsLeft -= 1 + equal
                    // At the same start a longer token of the first pass would win in one pass too.
                    if equal == overlap && (start > 0 || token.count < bytes.count) || stepsLeft < 0 { return true }
                }
            }
        }
        return false
    }
}
