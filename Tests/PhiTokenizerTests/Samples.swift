import PhiTokenizer

/// A builder of test vocabularies: 256 byte tokens, whose ids are their values, and any added by a test.
struct Sample {
    var tokens: [[UInt8]] = (UInt8.min...UInt8.max).map { [$0] }
    var merges: [Vocabulary.Merge] = []
    var added: [Vocabulary.AddedToken] = []

    /// Adds a merge and its resulting token.
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

    /// A sample with a few merges, runs of spaces and an end-of-text token.
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

/// Returns the fault that `body` throws, or nil.
func fault(_ body: () throws(TokenizerError) -> Void) -> String? {
    do { try body() } catch { return error.fault }
    return nil
}
