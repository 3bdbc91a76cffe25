/// The state of one call of `Tokenizer.encode`: its output and working memory.
struct Encoding: ~Copyable {
    private let text: ByteView
    private let vocabulary: Vocabulary
    private let specialTokens: Bool
    private let merger = ShortPreTokenMerger()
    private var cache: PreTokenCache
    private(set) var tokens: [TokenID] = []

    init(_ text: ByteView, _ vocabulary: Vocabulary, specialTokens: Bool) {
        self.text = text
        self.vocabulary = vocabulary
        self.specialTokens = specialTokens
        cache = PreTokenCache(bytes: text.count)
        tokens.reserveCapacity(text.count / 3 + 4)
    }

    /// Appends the tokens of a range of the text, in which the added tokens of this pass and later ones are matched.
    mutating func append(_ range: Range<Int>, pass: Int) {
        guard pass < vocabulary.index.added.count else { return append(range) }
        var rest = range
        while let (match, id) = vocabulary.index.added[pass].firstMatch(in: text, rest, special: specialTokens) {
            append(rest.lowerBound..<match.lowerBound, pass: pass + 1)
            tokens.append(id)
            rest = match.upperBound..<range.upperBound
        }
        append(rest, pass: pass + 1)
    }

    /// Appends the tokens of a range of the text that contains no added token.
    private mutating func append(_ range: Range<Int>) {
        var preTokenizer = PreTokenizer(text, range)
        while let preToken = preTokenizer.next() {
            if preToken.count == 1 {
                let id = vocabulary.index.byteTokens[Int(text[preToken.lowerBound])]
                if id >= 0 { tokens.append(id) }
            } else if preToken.count <= PreTokenCache.limit {
                appendShort(preToken)
            } else if preToken.count <= ShortPreTokenMerger.limit {
                merger.merge(text, preToken, vocabulary, into: &tokens)
            } else {
                LongPreTokenMerger(count: preToken.count).merge(text, preToken, vocabulary, into: &tokens)
            }
        }
    }

    @inline(__always)
    private mutating func appendShort(_ preToken: Range<Int>) {
        let (low, high) = text.words(preToken)
        if let cached = cache.lookUp(low, high) {
            for position in cached { tokens.append(tokens[position]) }
            return
        }
        let first = tokens.count
        merger.merge(text, preToken, vocabulary, into: &tokens)
        cache.insert(low, high, first..<tokens.count)
    }
}
