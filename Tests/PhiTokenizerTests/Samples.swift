import PhiTokenizer

/// A vocabulary of the 256 bytes, each with its own value as id, and what a test adds to them.
struct Sample {
    var tokens: [[UInt8]] = (UInt8.min...UInt8.max).map { [$0] }
    var merges: [Vocabulary.Merge] = []
    var added: [Vocabulary.AddedToken] = []

    /// Adds a merge, and the token it makes.
    @discardableResult
    mutating func merge(_ left: TokenID, _ right: TokenID) -> TokenID {
        tokens.append(tokens[Int(left)] + tokens[Int(right)])
        let result = TokenID(tokens.count - 1)
        merges.append(Vocabulary.Merge(left: left, right: right, result: result))
        return result
    }

    @discardableResult
    mutating func add(_ text: String, special: Bool = false) -> TokenID {
        tokens.append(utf8(text))
        added.append(Vocabulary.AddedToken(id: TokenID(tokens.count - 1), isSpecial: special))
        return TokenID(tokens.count - 1)
    }

    func vocabulary() throws(TokenizerError) -> Vocabulary {
        try Vocabulary(tokens: tokens, merges: merges, addedTokens: added)
    }

    /// Merges of a few characters, runs of spaces, an end of text.
    static func small() -> Sample {
        var sample = Sample()
        let th = sample.merge(0x74, 0x68)
        sample.merge(th, 0x65)
        sample.merge(0xC3, 0xA9)
        sample.add("<|endoftext|>", special: true)
        sample.add("    ")
        sample.add("  ")
        return sample
    }
}

/// What `body` throws; nil if it throws nothing.
func fault(_ body: () throws(TokenizerError) -> Void) -> String? {
    do { try body() } catch { return error.fault }
    return nil
}
