import Foundation
import Phi
import Testing

/// Regular expressions, against Python's `re` (`Tools/golden/regexes.py`), and their bounds.
struct RegexTests {
    private struct Case: Decodable {
        let pattern: String
        let matches, others: [String]
    }

    @Test func matchAsInPython() throws {
        let cases = try JSONDecoder().decode(
            [Case].self, from: Data(contentsOf: Goldens.folder.appending(path: "regexes.json")))
        #expect(cases.count == 600)
        var refused = 0
        for item in cases {
            // ECMAScript reads these otherwise.
            if item.pattern.contains(/\{,[0-9]*\}|\[\]/) {
                let error = #expect(throws: OptionError.self, "\(item.pattern)") { try Constraint.regex(item.pattern) }
                #expect(error?.fault.contains("ECMAScript") ?? false, "\(item.pattern): \(error?.fault ?? "")")
                refused += 1
                continue
            }
            let automaton = try Constraint.regex(item.pattern).automaton
            // Python takes the script's complements in ASCII, which are not those of all engines.
            let isOfASCII = item.pattern.contains(/\\[DWS]|\[\^/)
            for text in item.matches where !isOfASCII || text.utf8.allSatisfy({ $0 < 0x80 }) {
                #expect(automaton.matches(text.utf8), "\(item.pattern) \(text)")
            }
            for text in item.others { #expect(!automaton.matches(text.utf8), "\(item.pattern) \(text)") }
        }
        #expect(refused == 98)
    }

    /// What both read alike, or only one of them at all.
    @Test(
        arguments: [
            (".", ["a", "\t", "\u{B}", "\u{85}", "😀"], ["\n", "\r", "\u{2028}", "\u{2029}", ""]),
            ("a.c", ["abc"], ["a\rc"]),
            ("{", ["{"], []), ("a{x}", ["a{x}"], ["a"]), ("a{}", ["a{}"], ["a"]), ("}]", ["}]"], []),
            ("x{1,b}", ["x{1,b}"], ["x"]), (#"[\]a]"#, ["]", "a"], ["a]"]), (#"[^\]]"#, ["a", "\n"], ["]"]),
            ("a{0,2}", ["", "a", "aa"], ["a{0,2}"]), (#"[\b]"#, ["\u{8}"], ["b"]), (#"\v\0"#, ["\u{B}\0"], ["v0"]),
            ("(?P<a>x)(?<b>y)", ["xy"], []), ("[a-]", ["a", "-"], []), ("a$", ["a"], ["a\n"]),
            ("[$^|]", ["$", "^", "|"], []), ("[[a]", ["[", "a"], []), ("É", ["É"], ["é"]), (#"\x41\u0042"#, ["AB"], []),
        ] as [(String, [String], [String])])
    func syntaxOfEither(_ pattern: String, _ inside: [String], _ outside: [String]) throws {
        let automaton = try Constraint.regex(pattern).automaton
        for text in inside { #expect(automaton.matches(text.utf8), "\(text)") }
        for text in outside { #expect(!automaton.matches(text.utf8), "\(text)") }
    }

    @Test func bytesAreUTF8() throws {
        let any = try Constraint.regex(#"[\s\S]*"#).automaton
        for scalar in stride(from: UInt32(0), through: 0x10FFFF, by: 7) {
            guard let scalar = Unicode.Scalar(scalar) else { continue }
            #expect(any.matches(String(Character(scalar)).utf8))
        }
        for bytes: [UInt8] in [
            [0x80], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80],
            [0xFF], [0xC3], [0xC3, 0x28],
        ] { #expect(!any.matches(bytes), "\(bytes)") }
    }

    /// Python and ECMAScript differ in what is a digit, a letter and a space beyond ASCII: neither the class nor its complement has it.
    @Test func complementsLeaveOutWhatEnginesDifferIn() throws {
        for (pattern, inside, outside) in [
            (#"\W{1,100}"#, "!", "é"), (#"\S"#, "aé\u{200B}", " \n\u{A0}\u{1C}\u{85}\u{2003}\u{3000}\u{FEFF}"),
            (#"\D"#, "a½é", "0٣９"),
            (#"\W"#, " -\u{A0}…→😀", "a_0é٣漢½①"), (#"[^\s]"#, "aé", " \u{A0}\u{FEFF}"),
            (#"[^\S]"#, " \n", "aé\u{A0}"), (#"[^\w]"#, "-", "aé"), (#"[^\W]"#, "a0_", "é-"),
            (#"[\s\S]"#, "a\u{A0}é ", ""),
            (#"[x\W]"#, "x-", "é"), (#"[^x\d]"#, "aé", "x0٣"),
        ] {
            let automaton = try Constraint.regex(pattern).automaton
            for scalar in inside.unicodeScalars {
                #expect(automaton.matches(String(scalar).utf8), "\(pattern) \(scalar.value)")
            }
            for scalar in outside.unicodeScalars {
                #expect(!automaton.matches(String(scalar).utf8), "\(pattern) \(scalar.value)")
            }
        }
    }

    @Test func anchorsAtTheEndsHaveNoEffect() throws {
        for pattern in ["^ab|c$", "^ab$|^c$", "ab|c"] {
            let automaton = try Constraint.regex(pattern).automaton
            for (text, expected) in [("ab", true), ("c", true), ("xab", false), ("", false)] {
                #expect(automaton.matches(text.utf8) == expected)
            }
        }
    }

    @Test(arguments: [
        ("(a", "without its )"), ("a)", "without its ("), ("[a", "without its ]"), ("*a", "nothing to repeat"),
        ("a**", "use a group"),
        ("a{2}{3}", "use a group"), ("a*+", "possessive"), (#"(a)\1"#, "refers back"), ("(?=a)", "not supported"),
        ("(?<=a)", "looks behind"), ("(?i)a", "not supported"), ("(?P=n)", "not supported"), (#"\bx"#, "not supported"),
        ("a^b", "within an alternative"), ("(^a)", "within a group"), ("a{3,2}", "at least 3"), (#"\"#, "backslash"),
        (#"\x4"#, "2 digits"), (#"\ud800"#, "surrogate"), (#"\012"#, "octal"), (#"[\1]"#, "octal"),
        ("{2}", "nothing to repeat"),
        ("(?P:a)", "not supported"), ("(?<a b>x)", "name is none"), ("(?P<1>x)", "name is none"),
        ("(?P<a>x)(?<a>y)", "two groups"), ("[b-a]", "range"), (#"[\d-x]"#, "range"),
        (#"\p{L}"#, "not supported"), ("x{,2}", "write {0,"), ("x{,}y", "write {0,"), ("{,2}", "write {0,"),
        ("[]a]", "begins with ]"), ("[]", "begins with ]"), ("[^]", "begins with ]"), ("[^]a]", "begins with ]"),
        (#"\a"#, "escape \\a"), (#"\e"#, "escape \\e"), (#"\Z"#, "escape \\Z"), (#"\z"#, "escape \\z"),
        (#"\h"#, "escape \\h"),
        (#"\cA"#, "escape \\c"), (#"\k<a>"#, "escape \\k"), (#"[\B]"#, "escape \\B"), (#"\u{41}"#, "4 digits"),
        (#"\N{DIGIT ONE}"#, "escape \\N"), (#"\08"#, "octal"), ("a{2}+", "possessive"), ("a?+", "possessive"),
        (#"[a-\d]"#, "range"), ("(?>a)", "not supported"), ("(?#a)", "not supported"), ("(?i:a)", "not supported"),
        ("(a|b$)", "within a group"), ("a$b", "within an alternative"), ("^*a", "nothing to repeat"),
        (String(repeating: "(", count: 70) + String(repeating: ")", count: 70), "deeper"), ("[^\\s\\S]", "no text"),
        ("a{99999999999999999999}", "more than"),
    ])
    func areRefused(_ pattern: String, _ fault: String) {
        let error = #expect(throws: OptionError.self) { try Constraint.regex(pattern) }
        #expect(error?.fault.contains(fault) ?? false, "\(pattern): \(error?.fault ?? "")")
    }

    /// Compiling is bounded by counts, so it ends soon however a pattern is made.
    @Test func hostilePatternsAreBounded() throws {
        // These look hard and are not.
        for pattern in [
            "(a*)*b", "((a*)*)*", "(a|a)*b", "(a?){50}a{50}", "(x+x+)+y", "[a-z]*x[^x]{40}y",
            String(repeating: "(a|b)?", count: 200),
        ] {
            #expect(try Constraint.regex(pattern).automaton.isAccepting.count < 1000)
        }
        let many = (0..<20_000).map { "word\($0 &* 2_654_435_761 % 1_000_003)" }
        #expect(try Constraint.choice(many).automaton.isAccepting.count < 1 << 18)
        for pattern in [
            "a{1000}{1000}", "(a{1000}){1000}", "(?:(?:(?:){1000}){1000}){1000}", "((a{100}){100}){100}",
            "(a|b)*a(a|b){30}",
            "(.*a.{20}){9}",
            String(repeating: "(.{1,200}|", count: 60) + String(repeating: ")", count: 60),
            (0..<60).map { "(?:.{\($0)}a.*)" }.joined(separator: "|"), many.map { ".*\($0)" }.joined(separator: "|"),
        ] {
            let error = #expect(throws: OptionError.self, "\(pattern.prefix(80))") { try Constraint.regex(pattern) }
            #expect(
                ["too large", "use a group"].contains { error?.fault.contains($0) ?? false }, "\(error?.fault ?? "")")
        }
    }
}
