import PhiFormat
import PhiTokenizer

/// The contents of tokenizer files of any form, from which a ``Vocabulary`` is made.
///
/// Text is compared by its bytes: canonically equivalent strings are equal in Swift, but are different tokens.
struct TokenList {
    struct Added {
        let id: Int
        let content: String
        let isSpecial: Bool
    }

    /// The file that faults are about.
    let file: String
    /// Tokens of the BPE, in the byte-level alphabet.
    let base: [String: Int]
    /// Pairs in the byte-level alphabet, in order of application.
    let merges: [(left: String, right: String)]
    /// Tokens that are plain text; some may be in `base` as well.
    let added: [Added]

    /// Makes the vocabulary. Throws ``FormatError`` when ids have holes or clash, a merge has no token, or a rule of
    /// `Formats/phi-file.md` 2.2 is broken.
    func vocabulary() throws(FormatError) -> Vocabulary {
        func refused(_ fault: String) -> FormatError { FormatError(file, fault) }
        var tokens: [Int: [UInt8]] = [:]
        var ids: [[UInt8]: TokenID] = [:]
        func place(_ bytes: [UInt8], at id: Int, _ name: String) throws(FormatError) {
            guard TokenID(exactly: id) != nil, id >= 0 else { throw refused("token \(name.shown) has id \(id)") }
            guard tokens.updateValue(bytes, forKey: id) == nil else {
                throw refused("two tokens have id \(id), one of them is \(name.shown)")
            }
        }

        var addedIDs: [[UInt8]: Int] = [:]
        for token in added {
            try place(Array(token.content.utf8), at: token.id, token.content)
            guard addedIDs.updateValue(token.id, forKey: Array(token.content.utf8)) == nil else {
                throw refused("has the added token \(token.content.shown) twice")
            }
        }
        // Sorted, so that of several faults the same one is always named.
        for (text, id) in base.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            guard let token = TokenID(exactly: id) else { throw refused("token \(text.shown) has id \(id)") }
            ids[Array(text.utf8)] = token
            if let same = addedIDs[Array(text.utf8)] {
                guard same == id else { throw refused("token \(text.shown) has the two ids \(id) and \(same)") }
                continue
            }
            guard let bytes = ByteLevelAlphabet.bytes(of: text) else {
                throw refused("token \(text.shown) has a character that stands for no byte")
            }
            try place(bytes, at: id, text)
        }
        // As many ids as tokens: they are 0 to count - 1 unless there is a hole.
        let whole = try (0..<tokens.count).map { id throws(FormatError) in
            guard let token = tokens[id] else {
                throw refused("has no token of id \(id), though there are higher ones")
            }
            return token
        }

        let pairs = try merges.map { left, right throws(FormatError) in
            let (leftBytes, rightBytes) = (Array(left.utf8), Array(right.utf8))
            guard let leftID = ids[leftBytes], let rightID = ids[rightBytes], let result = ids[leftBytes + rightBytes]
            else { throw refused("merge \("\(left) \(right)".shown) has no token") }
            return Vocabulary.Merge(left: leftID, right: rightID, result: result)
        }
        do {
            return try Vocabulary(
                tokens: whole, merges: pairs,
                addedTokens: added.sorted { $0.id < $1.id }.map { .init(id: TokenID($0.id), isSpecial: $0.isSpecial) })
        } catch {
            throw refused(error.fault)
        }
    }
}
