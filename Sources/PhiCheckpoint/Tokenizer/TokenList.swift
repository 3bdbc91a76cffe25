import PhiFormat
import PhiTokenizer

/// The contents of tokenizer files of any form, from which a ``Vocabulary`` is made.
///
/// Text is compared by its bytes: canonically equivalent strings are equal in Swift, but are different tokens.
struct TokenList {
    /// The token of characters that the BPE has no token for.
    struct Unknown {
        let content: String
        /// Whether neighbours become one token.
        let isFused: Bool
    }

    /// The tokens of the BPE and the added ones, which are plain text; some may be both.
    let added: AddedTokens
    /// Pairs in the byte-level alphabet, in order of application.
    let merges: [(left: String, right: String)]
    let unknown: Unknown?

    /// Makes the vocabulary. Throws ``FormatError`` when ids have holes or clash, a merge has no token, or a rule of
    /// `Formats/phi-file.md` 2.2 is broken.
    func vocabulary() throws(FormatError) -> Vocabulary {
        func refused(_ fault: String) -> FormatError { FormatError(added.file, fault) }
        var tokens: [Int: [UInt8]] = [:]
        var ids: [[UInt8]: TokenID] = [:]
        func place(_ bytes: [UInt8], at id: Int, _ name: String) throws(FormatError) {
            guard tokens.updateValue(bytes, forKey: id) == nil else {
                throw refused("two tokens have id \(id), one of them is \(name.shown)")
            }
        }

        for token in added.tokens {
            try place(Array(token.text.content.utf8), at: token.id, token.text.content)
        }
        // Sorted, so that of several faults the same one is always named.
        for (text, id) in added.base.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            ids[Array(text.utf8)] = TokenID(id)
            let bytes = ByteLevelAlphabet.bytes(of: text)
            if added.contains(text) {
                // Matched as text, it would stand for the byte no more.
                guard bytes?.count != 1 || text.utf8.count == 1 else {
                    throw refused("token \(text.shown) is both a byte's and an added token, which is not supported")
                }
                continue
            }
            // Hugging Face decodes a token with other characters as text; no merge makes one.
            guard let bytes = bytes ?? (text.utf8.count > 1 ? Array(text.utf8) : nil) else {
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
        var unknownID: TokenID?
        if let unknown, Set(whole.lazy.filter { $0.count == 1 }).count < 256 {
            guard let id = ids[Array(unknown.content.utf8)] else {
                throw refused("model.unk_token \(unknown.content.shown) is not in model.vocab")
            }
            if unknown.isFused { throw refused("model.fuse_unk is set; phi's tokenizer does not know it") }
            unknownID = id
        }
        do {
            return try Vocabulary(
                tokens: whole, merges: pairs, addedTokens: added.forVocabulary(), unknown: unknownID)
        } catch let error as FormatError {
            throw error
        } catch let error as TokenizerError {
            throw refused(error.fault)
        } catch {
            throw refused("\(error)")
        }
    }
}
