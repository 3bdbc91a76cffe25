import Phi
import PhiTokenizer
import Testing

/// Stop strings in pieces of text against a search in the whole text.
struct StopMatcherTests {
    /// The match that ends first, the longest of those that end together.
    private func naive(_ text: String, _ stops: [String]) -> (text: String, stop: String?) {
        let bytes = Array(text.utf8)
        for end in 0...bytes.count {
            let here = stops.filter { bytes[..<end].suffix($0.utf8.count).elementsEqual($0.utf8) }
            if let stop = here.max(by: { $0.utf8.count < $1.utf8.count }) {
                return (String(decoding: bytes[..<(end - stop.utf8.count)], as: UTF8.self), stop)
            }
        }
        return (text, nil)
    }

    private func inPieces(_ pieces: [String], _ stops: [String]) -> (text: String, stop: String?) {
        var matcher = StopMatcher(stops)
        var text = ""
        for piece in pieces {
            let (more, stop) = matcher.push(piece)
            text += more
            if let stop { return (text, stop) }
        }
        return (text + matcher.finish(), nil)
    }

    /// All texts of `letters` with `length` letters.
    private func texts(_ letters: [Character], _ length: Int) -> [[Character]] {
        (0..<length).reduce([[]]) { texts, _ in texts.flatMap { text in letters.map { text + [$0] } } }
    }

    static let sets: [[String]] = [
        ["a"], ["ab"], ["aab"], ["abab"], ["aaa"], ["abaab"], ["abab", "ba"], ["aba", "b"], ["ab", "abb"],
        ["bb", "abba"], ["a", "b"], ["aabb", "ab"], ["ab", "ab"], ["bbb", "abbb", "bab"], ["aaaaaaaaaaaa"],
    ]

    @Test(arguments: sets)
    func everyTextInEverySplitIsAsTheWhole(_ stops: [String]) {
        for length in 0...8 {
            for text in texts(["a", "b"], length) {
                let truth = naive(String(text), stops)
                for cuts in 0..<(1 << max(0, length - 1)) {
                    var pieces: [String] = [""]
                    for (i, letter) in text.enumerated() {
                        pieces[pieces.count - 1].append(letter)
                        if cuts >> i & 1 == 1 { pieces.append("") }
                    }
                    let found = inPieces(pieces, stops)
                    if found != truth { Issue.record("\(pieces) with \(stops): \(found), not \(truth)") }
                }
            }
        }
    }

    /// é is C3 A9, è is C3 A8, 漢 is E6 BC A2: stop strings that share first bytes with other characters.
    @Test(arguments: [["é"], ["èé"], ["漢"], ["é漢", "漢x"], ["xé", "é"], ["\u{FFFD}"]])
    func charactersOfManyBytes(_ stops: [String]) {
        for length in 0...5 {
            for text in texts(["é", "è", "漢", "x", "\u{FFFD}"], length) {
                let truth = naive(String(text), stops)
                #expect(inPieces(text.map(String.init), stops) == truth)
                #expect(inPieces([String(text)], stops) == truth)
            }
        }
    }

    @Test
    func onlyPossibleBeginningsOfStopStringsAreHeldBack() {
        var matcher = StopMatcher(["\n\nclass", "\ndef"])
        #expect(matcher.push("x = 1\n") == ("x = 1", nil))
        #expect(matcher.push("\n") == ("", nil))
        #expect(matcher.push("cl") == ("", nil))
        #expect(matcher.push("ose()") == ("\n\nclose()", nil))
        #expect(matcher.push("\nde") == ("", nil))
        #expect(matcher.push("f g") == ("", "\ndef"))
        matcher = StopMatcher(["END"])
        #expect(matcher.push("the EN") == ("the ", nil))
        #expect(matcher.finish() == "EN")
    }

    /// A stop string may be, contain, or stand between special tokens, which the text does not have; a part of their text is in none.
    @Test
    func specialTokensMatchAndAreNotText() {
        let special: [(id: TokenID, text: ArraySlice<UInt8>)] = [
            (7, Array("<|im_end|>".utf8)[...]), (9, Array("<|im_start|>".utf8)[...]),
            (11, Array("<|im_end|>>".utf8)[...]),
        ]
        let pieces: [(text: String, special: TokenID?)] = [
            ("ab", nil), ("", 7), ("c", nil), ("", 9), ("d<|im_end|>", nil),
        ]
        for (stops, text, stop) in [
            (["<|im_end|>"], "ab", "<|im_end|>"), (["b<|im_end|>c"], "a", "b<|im_end|>c"),
            (["<|im_start|>d"], "abc", "<|im_start|>d"), (["end|>c<|"], "abcd<|im_end|>", nil),
            (["im"], "abcd<|", "im"), (["bc"], "a", "bc"), (["bcd"], "a", "bcd"), (["cd", "bcd"], "a", "bcd"),
            (["b<|im_end|>>"], "abcd<|im_end|>", nil), (["cx"], "abcd<|im_end|>", nil),
            (["d<|im_end|>"], "abc", "d<|im_end|>"), ([], "abcd<|im_end|>", nil),
            (["<|im_end|>e"], "abcd<|im_end|>", nil),
        ] as [([String], String, String?)] {
            var matcher = StopMatcher(stops, specialTokens: special)
            var found = "", stopped: String?
            for piece in pieces where stopped == nil {
                let (more, stop) = piece.special.map { matcher.push(special: $0) } ?? matcher.push(piece.text)
                found += more
                stopped = stop
            }
            if stopped == nil { found += matcher.finish() }
            #expect(found == text && stopped == stop, "\(stops)")
        }
    }

    @Test
    func withoutStopStringsAllGoesThrough() {
        var matcher = StopMatcher([])
        #expect(matcher.push("abc") == ("abc", nil))
        #expect(matcher.finish() == "")
    }
}
