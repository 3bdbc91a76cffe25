/// Finds where a text that comes in pieces has to stop, and holds back what may become a stop string.
///
/// The match that ends first counts; of those that end together, the longest. So the outcome is that of the whole text,
/// however it is cut into pieces, and is known as soon as the match's last byte is there. What is given out never holds a
/// stop string and always ends on a character's border.
///
/// Each stop string has a Knuth-Morris-Pratt automaton over UTF-8 bytes (SIAM J. Comput. 6, 1977): time is linear in the
/// text, times the number of stop strings, and memory in the stop strings.
package struct StopMatcher: Sendable {
    private var patterns: [Pattern]
    private var held: [UInt8] = []

    /// `stops` are not empty.
    package init(_ stops: [String]) { patterns = stops.map(Pattern.init) }

    /// Takes the next piece: gives the text that is decided by it, and the stop string if one is complete. Then the text
    /// ends before it, and there must be no further calls.
    package mutating func push(_ piece: String) -> (text: String, stop: String?) {
        guard !patterns.isEmpty else { return (piece, nil) }
        for byte in piece.utf8 {
            held.append(byte)
            var longest: Pattern?
            for index in patterns.indices {
                let isComplete = patterns[index].step(byte)
                if isComplete, patterns[index].bytes.count > longest?.bytes.count ?? 0 { longest = patterns[index] }
            }
            if let longest {
                let text = held.dropLast(longest.bytes.count)
                return (String(decoding: text, as: UTF8.self), longest.string)
            }
        }
        let undecided = patterns.reduce(0) { max($0, $1.matched) }
        let text = String(decoding: held.dropLast(undecided), as: UTF8.self)
        held.removeFirst(held.count - undecided)
        return (text, nil)
    }

    /// Ends the text: gives what was held back.
    package mutating func finish() -> String {
        defer { held.removeAll() }
        return String(decoding: held, as: UTF8.self)
    }
}

/// One stop string and how much of it the text ends with.
private struct Pattern: Sendable {
    let string: String
    let bytes: [UInt8]
    /// For each length of a prefix, that of the longest shorter prefix that it ends with.
    let fallback: [Int]
    /// Length of the longest prefix that the text ends with.
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

    /// Takes the text's next byte; whether the text ends with the whole string now.
    mutating func step(_ byte: UInt8) -> Bool {
        if matched == bytes.count { matched = fallback[matched] }
        while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
        if bytes[matched] == byte { matched += 1 }
        return matched == bytes.count
    }
}
