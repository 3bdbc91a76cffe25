/// A streaming search for stop strings, which holds back text that may begin one.
///
/// The match that ends first counts; of several that end together, the longest. The result therefore does not depend on
/// how the text is split into pieces and is known at the match's last byte. Returned text never contains a stop string
/// and always ends at a character boundary. Special tokens are pushed too, so that stop strings may contain them, but
/// are not part of the returned text.
///
/// Each stop string has a Knuth-Morris-Pratt automaton over UTF-8 bytes (SIAM J. Comput. 6, 1977). Time: text x number
/// of stop strings. Memory: length of the stop strings.
package struct StopMatcher: Sendable {
    private var patterns: [Pattern]
    private var held: [(byte: UInt8, isText: Bool)] = []

    /// Creates a matcher of `stops`, none of which may be empty.
    package init(_ stops: [String]) { patterns = stops.map(Pattern.init) }

    /// Appends the next piece and returns the text that is final with it. If a stop string is complete, returns it and
    /// the text before it; there must be no further calls. `isText`: whether the piece is text or a special token.
    package mutating func push(_ piece: String, isText: Bool = true) -> (text: String, stop: String?) {
        guard !patterns.isEmpty else { return (isText ? piece : "", nil) }
        for byte in piece.utf8 {
            held.append((byte, isText))
            var longest: Pattern?
            for index in patterns.indices {
                let isComplete = patterns[index].step(byte)
                if isComplete, patterns[index].bytes.count > longest?.bytes.count ?? 0 { longest = patterns[index] }
            }
            if let longest {
                return (Self.text(held.dropLast(longest.bytes.count)), longest.string)
            }
        }
        let undecided = patterns.reduce(0) { max($0, $1.matched) }
        let text = Self.text(held.dropLast(undecided))
        held.removeFirst(held.count - undecided)
        return (text, nil)
    }

    /// Ends the text and returns the part that was held back.
    package mutating func finish() -> String {
        defer { held.removeAll() }
        return Self.text(held[...])
    }

    private static func text(_ held: ArraySlice<(byte: UInt8, isText: Bool)>) -> String {
        String(decoding: held.lazy.filter(\.isText).map(\.byte), as: UTF8.self)
    }
}

/// A stop string's automaton and its state.
private struct Pattern: Sendable {
    let string: String
    let bytes: [UInt8]
    /// The failure function: for each prefix length, the length of that prefix's longest border.
    let fallback: [Int]
    /// Length of the longest prefix of the string that is a suffix of the text.
    var matched = 0

    init(_ string: String) {
        self.string = string
        let bytes = Array(string.utf8)
        var fallback = [0, 0]
        for length in stride(from: 1, to: bytes.count, by: 1) {
            var candidate = fallback[length]
            while candidate > 0, bytes[candidate] != bytes[length] { candidate = fallback[candidate] }
            fallback.append(bytes[candidate] == bytes[length] ? candidate + 1 : 0)
        }
        self.bytes = bytes
        self.fallback = fallback
    }

    /// Advances by the text's next byte and returns whether the text now ends with the string.
    mutating func step(_ byte: UInt8) -> Bool {
        if matched == bytes.count { matched = fallback[matched] }
        while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
        if bytes[matched] == byte { matched += 1 }
        return matched == bytes.count
    }
}
