/// One call of `Tokenizer.encode`: the output so far and the memory for making it.
struct Encoding: ~Copyable {
    private let text: ByteView
    private let vocabulary: Vocabulary
    private let merger = ShortPieceMerger()
    private var cache: PieceCache
    private(set) var tokens: [TokenID] = []

    init(_ text: ByteView, _ vocabulary: Vocabulary) {
        self.text = text
        self.vocabulary = vocabulary
        cache = PieceCache(bytes: text.count)
        tokens.reserveCapacity(text.count / 3 + 4)
    }

    /// Appends an added token.
    mutating func append(_ id: TokenID) {
        tokens.append(id)
    }

    /// Appends the tokens of text that holds no added token.
    mutating func append(_ range: Range<Int>) {
        var splitter = PieceSplitter(text, range)
        while let piece = splitter.next() {
            if piece.count == 1 {
                tokens.append(vocabulary.index.byteTokens[Int(text[piece.lowerBound])])
            } else if piece.count <= PieceCache.limit {
                appendShort(piece)
            } else if piece.count <= ShortPieceMerger.limit {
                merger.merge(text, piece, vocabulary, into: &tokens)
            } else {
                LongPieceMerger(count: piece.count).merge(text, piece, vocabulary, into: &tokens)
            }
        }
    }

    @inline(__always)
    private mutating func appendShort(_ piece: Range<Int>) {
        let (low, high) = text.words(piece)
        if let known = cache.find(low, high) {
            for place in known { tokens.append(tokens[place]) }
            return
        }
        let first = tokens.count
        merger.merge(text, piece, vocabulary, into: &tokens)
        cache.remember(low, high, first..<tokens.count)
    }
}
