import PhiTokenizer

/// Where a sequence is in the texts of its constraint. Only chosen tokens advance it, so drafts leave nothing to undo.
struct ConstraintState {
    private let masks: TokenMasks
    private let vocabulary: Vocabulary
    /// The tokens that end the text, which are none of its tokens.
    private let ends: [TokenID]
    private var stack = AutomatonStack()
    private var position: Automaton.Position
    private var masked: [Float]  // [vocabulary]

    init(_ constraint: Constraint, _ model: LanguageModel, ends: [TokenID]) {
        vocabulary = model.tokenizer.vocabulary
        masks = model.constraints.masks(of: constraint, vocabulary)
        self.ends = ends
        position = Automaton.Position(state: masks.automaton.start)
        masked = [Float](repeating: 0, count: model.config.vocabulary)
    }

    /// Whether the text is complete and nothing may follow.
    var isComplete: Bool {
        guard masks.automaton.accepts(position, stack) else { return false }
        var stack = stack
        return !(0...UInt8.max).contains { masks.automaton.next(position, $0, &stack) != nil }
    }

    /// Calls `body` with `logits` in which tokens that may not follow are minus infinity, and returns the token that it chooses.
    /// If that is none of the others, for example because a bias excludes them all, returns the likeliest of those; nil if
    /// there are none.
    mutating func choose(
        _ logits: UnsafeBufferPointer<Float>, _ body: (UnsafeBufferPointer<Float>) -> TokenID
    ) -> TokenID? {
        let mask = masks.mask(position, stack)
        let mayEnd = masks.automaton.accepts(position, stack)
        let ends = ends
        func mayFollow(_ token: Int) -> Bool {
            ends.contains(TokenID(token)) ? mayEnd : mask[token / 64] >> UInt64(token % 64) & 1 == 1
        }
        return masked.withUnsafeMutableBufferPointer { masked in
            for (index, bits) in mask.enumerated() {
                let range = 64 * index..<min(64 * index + 64, logits.count)
                for token in range { masked[token] = bits >> UInt64(token % 64) & 1 == 1 ? logits[token] : -.infinity }
            }
            for end in ends where masked.indices.contains(Int(end)) {
                masked[Int(end)] = mayEnd ? logits[Int(end)] : -.infinity
            }
            let masked = UnsafeBufferPointer(masked)
            func fits(_ token: TokenID) -> Bool { masked.indices.contains(Int(token)) && mayFollow(Int(token)) }
            let chosen = body(masked)
            if fits(chosen) { return chosen }
            let likeliest = Logits(values: masked).likeliest
            return fits(likeliest) ? likeliest : masked.indices.first(where: mayFollow).map(TokenID.init)
        }
    }

    /// Appends a chosen token; returns whether it was one that may follow.
    @discardableResult
    mutating func append(_ token: TokenID) -> Bool {
        guard !ends.contains(token), !vocabulary.isSpecial(token) else { return false }
        for byte in vocabulary.bytes(of: token) {
            guard let next = masks.automaton.next(position, byte, &stack) else { return false }
            position = next
        }
        return true
    }

    /// The number of `tokens` that may follow, one after another.
    func prefix(of tokens: [TokenID]) -> Int {
        var state = self
        return tokens.prefix { state.append($0) }.count
    }
}
