import PhiTestSupport

/// A generator of the same random documents as Tools/golden/documents.py from the same seed.
struct RandomDocuments {
    private static let words = [
        "def", "return", "self", "print", "import", "the", "Prime", "n", "x1", "naïve", "größe", "слово", "日本", "한국어",
        "עברית",
    ]
    private static let tails = [
        "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "'r", "'l", "\u{2019}s", "'em",
    ]
    private static let marks = [
        "==", "!=", "->", "():", "\"\"\"", "#", "...", "<|endoftext|>", "<|endoftext", "|>", "<<|endoftext|>>", "\\n",
        "€",
        "—", "½",
    ]
    private static let spaces: [UInt32] = [
        0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2000, 0x2003, 0x200A, 0x200B,
        0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF,
    ]
    private static let digits: [UInt32] = [0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0xB2, 0x2160, 0x3021]
    private static let emoji: [UInt32] = [
        0x1F600, 0x1F468, 0x200D, 0x1F469, 0xFE0F, 0x2764, 0x1F1E6, 0x1F3FB, 0x1FAE0,
    ]

    private var random: SeededRandom

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
    }

    mutating func next() -> String {
        var document = ""
        for _ in 0..<random.below(24) { document.unicodeScalars.append(contentsOf: fragment().unicodeScalars) }
        return document
    }

    private mutating func fragment() -> String {
        switch random.below(18) {
        case 0: return String(repeating: " ", count: random.below(71))
        case 1: return String(repeating: "\t", count: random.below(12))
        case 2:
            let lines = String(repeating: "\n", count: 1 + random.below(3))
            return lines + String(repeating: " ", count: 4 * random.below(5))
        case 3:
            let count = random.below(9)
            return scalars(count) { [0x20, 0x09, 0x0A, 0x0D][$0.below(4)] }
        case 4:
            let count = 1 + random.below(4)
            return scalars(count) { Self.spaces[$0.below(Self.spaces.count)] }
        case 5, 6: return String(repeating: " ", count: random.below(2)) + one(of: Self.words)
        case 7: return one(of: Self.tails)
        case 8, 9: return String(repeating: " ", count: random.below(2)) + one(of: Self.marks)
        case 10:
            let count = 1 + random.below(3)
            return scalars(count) { Self.digits[$0.below(Self.digits.count)] + UInt32($0.below(10)) }
        case 11:
            let count = 1 + random.below(5)
            return scalars(count) { Self.emoji[$0.below(Self.emoji.count)] + UInt32($0.below(2)) }
        case 12:
            let count = random.below(4)
            return "e" + scalars(count) { 0x300 + UInt32($0.below(0x70)) }
        case 13: return scalars(1) { UInt32($0.below(0x20)) }
        case 14:
            let count = random.below(40)
            return scalars(count) { 0x21 + UInt32($0.below(0x5E)) }
        case 15: return anyScalars(below: 0x3000)
        case 16: return anyScalars(below: 0x10000 - 0x800)
        default: return anyScalars(below: 0x110000 - 0x800)
        }
    }

    private mutating func one(of choices: [String]) -> String {
        choices[random.below(choices.count)]
    }

    private mutating func anyScalars(below limit: Int) -> String {
        let count = 1 + random.below(4)
        return scalars(count) { random in
            let code = UInt32(random.below(limit))
            return code >= 0xD800 ? code + 0x800 : code
        }
    }

    private mutating func scalars(_ count: Int, _ code: (inout SeededRandom) -> UInt32) -> String {
        var text = ""
        for _ in 0..<count { text.unicodeScalars.append(Unicode.Scalar(code(&random)) ?? "\u{FFFD}") }
        return text
    }
}
