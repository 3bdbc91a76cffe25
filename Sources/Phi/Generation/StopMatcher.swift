import PhiTokenizer

/// A streaming search for stop strings, which holds back text that may begin one.
///
/// The match that ends first counts; of several that end together, the longest. The result therefore does not depend on
/// how the text is split into pieces and is known at the match's last byte. Returned text never contains a stop string
/// and always ends at a character boundary.
///
/// Special tokens are pushed too, but are not part of the returned text. A stop string that contains the text of one matches where
/// the token is; a part of its text, such as a letter, is not in it. Text on both sides of a special token is one text.
///
/// Each stop string has a Knuth-Morris-Pratt automaton (SIAM J. Comput. 6, 1977) over symbols: bytes of UTF-8 and special
/// tokens. Time: text x number of stop strings. Memory: length of the stop strings.
package struct StopMatcher: Sendable {
    private var patterns: [Pattern]
    private var held: [Symbol] = []

    /// Creates a matcher of `stops`, none of which may be empty, in the text of a model with `specialTokens`.
    package init(_ stops: [String], specialTokens: [(id: TokenID, text: ArraySlice<UInt8>)] = []) {
        patterns = stops.map { Pattern($0, $0.utf8.map(Symbol.init), seesTokens: false) }
        for stop in stops {
            let symbols = Symbol.symbols(of: stop, specialTokens)
            if symbols.contains(where: \.isToken) { patterns.append(Pattern(stop, symbols, seesTokens: true)) }
        }
    }

    /// Appends the next piece of text and returns the text that is final with it. If a stop string is complete, returns it and
    /// the text before it; there must be no further calls.
    package mutating func push(_ piece: String) -> (text: String, stop: String?) {
        patterns.isEmpty ? (piece, nil) : push(piece.utf8.lazy.map(Symbol.init))
    }

    /// Appends a special token, likewise.
    package mutating func push(special token: TokenID) -> (text: String, stop: String?) {
        patterns.isEmpty ? ("", nil) : push(CollectionOfOne(Symbol(token: token)))
    }

    private mutating func push(_ symbols: some Collection<Symbol>) -> (text: String, stop: String?) {
        for symbol in symbols {
            held.append(symbol)
            var longest: (count: Int, string: String)?
            for index in patterns.indices where patterns[index].step(symbol) {
                let count = heldCount(patterns[index])
                if count > longest?.count ?? 0 { longest = (count, patterns[index].string) }
            }
            if let longest { return (Symbol.text(held.dropLast(longest.count)), longest.string) }
        }
        let undecided = patterns.reduce(0) { max($0, heldCount($1)) }
        let text = Symbol.text(held.dropLast(undecided))
        held.removeFirst(held.count - undecided)
        return (text, nil)
    }

    /// How many of the last symbols begin `pattern`, with the special tokens among them that it does not see.
    private func heldCount(_ pattern: Pattern) -> Int {
        guard !pattern.seesTokens, pattern.matched > 0 else { return pattern.matched }
        var (count, bytes) = (0, 0)
        for symbol in held.reversed() where bytes < pattern.matched {
            count += 1
            if !symbol.isToken { bytes += 1 }
        }
        return count
    }

    /// Ends the text and returns the part that was held back.
    package mutating func finish() -> String {
        defer { held.removeAll() }
        return Symbol.text(held[...])
    }
}

/// A byte of text or a special token.
private struct Symbol: Sendable, Equatable {
    private let value: UInt32

    init(_ byte: UInt8) { value = UInt32(byte) }
    init(token: TokenID) { value = 256 + UInt32(truncatingIfNeeded: token) }

    var isToken: Bool { value > 255 }

    /// The symbols of a stop string, special tokens for their texts: the leftmost, of several the longest.
    static func symbols(
        of text: String, _ specialTokens: [(id: TokenID, text: ArraySlice<UInt8>)]
    ) -> [Symbol] {
        var symbols: [Symbol] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            let here = specialTokens.filter { !$0.text.isEmpty && rest.starts(with: $0.text) }
            if let longest = here.max(by: { $0.text.count < $1.text.count }) {
                symbols.append(Symbol(token: longest.id))
                rest = rest.dropFirst(longest.text.count)
            } else {
                symbols.append(Symbol(byte))
                rest = rest.dropFirst()
            }
        }
        return symbols
    }

    static func text(_ symbols: ArraySlice<Symbol>) -> String {
        String(decoding: symbols.lazy.filter { !$0.isToken }.map { UInt8(truncatingIfNeeded: $0.value) }, as: UTF8.self)
    }
}

/// A stop string's automaton and its state.
private struct Pattern: Sendable {
    let string: String
    let symbols: [Symbol]
    /// Whether special tokens are symbols of its text, or between two of them nothing.
    let seesTokens: Bool
    /// The failure function: for each prefix length, the length of that prefix's longest border.
    let fallback: [Int]
    /// Length of the longest prefix of the symbols that is a suffix of the text.
    var matched = 0

    init(_ string: String, _ symbols: [Symbol], seesTokens: Bool) {
        self.string = string
        self.seesTokens = seesTokens
        var fallback = [0, 0]
        for length in stride(from: 1, to: symbols.count, by: 1) {
            var candidate = fallback[length]
            while candidate > 0, symbols[candidate] != symbols[length] { candidate = fallback[candidate] }
            fallback.append(symbols[candidate] == symbols[length] ? candidate + 1 : 0)
        }
        self.symbols = symbols
        self.fallback = fallback
    }

    /// Advances by the text's next symbol and returns whether the text now ends with the string.
    mutating func step(_ symbol: Symbol) -> Bool {
        guard seesTokens || !symbol.isToken else { return false }
        if matched == symbols.count { matched = fallback[matched] }
        while matched > 0, symbols[matched] != symbol { matched = fallback[matched] }
        if symbols[matched] == symbol { matched += 1 }
        return matched == symbols.count
    }
}
