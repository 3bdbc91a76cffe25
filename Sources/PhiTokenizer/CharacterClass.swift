/// The four disjoint character classes of GPT-2's pre-tokenisation pattern.
enum CharacterClass: UInt8 {
    /// Any other character.
    case other
    /// `\p{L}`.
    case letter
    /// `\p{N}`.
    case number
    /// `\s`.
    case space

    /// Classifies an ASCII character by comparisons, which are faster than a table.
    @inline(__always)
    init(ascii byte: UInt8) {
        if (byte | 0x20) &- 0x61 < 26 {
            self = .letter
        } else if byte == 0x20 || byte &- 9 < 5 {
            self = .space
        } else if byte &- 0x30 < 10 {
            self = .number
        } else {
            self = .other
        }
    }

    /// Classifies any code point by binary search in `unicodeClassChanges`: 11 steps.
    init(scalar: UInt32) {
        var low = 0
        var high = unicodeClassChanges.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if unicodeClassChanges[middle] >> 2 <= scalar { low = middle } else { high = middle }
        }
        self = CharacterClass(rawValue: UInt8(unicodeClassChanges[low] & 3)) ?? .other
    }
}
