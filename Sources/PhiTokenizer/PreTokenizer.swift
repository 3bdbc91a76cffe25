/// An iterator over the pre-tokens of a text: the matches of the pattern in GPT-2's encoder.py,
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// The pattern matches at every position, so pre-tokens are contiguous. This hand-written matcher takes linear time and
/// backtracks by at most one character.
struct PreTokenizer {
    private let text: ByteView
    private var position: Int
    /// The end of the text, also for the lookahead.
    private let end: Int

    init(_ text: ByteView, _ range: Range<Int>) {
        self.text = text
        self.position = range.lowerBound
        self.end = range.upperBound
    }

    /// Returns the next pre-token, or nil at the end. Linear in its length.
    mutating func next() -> Range<Int>? {
        guard position < end else { return nil }
        let start = position
        position = endOfPreToken(from: start)
        return start..<position
    }

    private func endOfPreToken(from start: Int) -> Int {
        let contraction = contractionLength(at: start)
        if contraction > 0 { return start + contraction }
        let (kind, length) = character(at: start)
        if kind != .space { return endOfRun(of: kind, from: start + length) }
        if text[start] == 0x20, start + 1 < end {
            let (next, nextLength) = character(at: start + 1)
            if next != .space { return endOfRun(of: next, from: start + 1 + nextLength) }
        }
        return endOfSpaces(from: start)
    }

    @inline(__always)
    private func character(at position: Int) -> (kind: CharacterClass, length: Int) {
        let byte = text[position]
        if byte < 0x80 { return (CharacterClass(ascii: byte), 1) }
        let sequence = UTF8Sequence(text, at: position, end: end)
        return (CharacterClass(scalar: sequence.scalar), sequence.length)
    }

    @inline(__always)
    private func endOfRun(of kind: CharacterClass, from start: Int) -> Int {
        var position = start
        while position < end {
            let (next, length) = character(at: position)
            if next != kind { break }
            position += length
        }
        return position
    }

    /// Matches `\s+(?!\S)|\s+`: a whole run of white space at the end of the text; elsewhere the run without its last
    /// character, unless the run is a single character.
    private func endOfSpaces(from start: Int) -> Int {
        var position = start
        var last = start
        while position < end {
            let (kind, length) = character(at: position)
            if kind != .space { return last > start ? last : position }
            last = position
            position += length
        }
        return position
    }

    /// Returns the length of the `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at `position`, or 0.
    @inline(__always)
    private func contractionLength(at position: Int) -> Int {
        guard text[position] == 0x27, position + 1 < end else { return 0 }
        switch text[position + 1] {
        case 0x73, 0x74, 0x6D, 0x64:  // s t m d
            return 2
        case 0x72, 0x76:  // r v
            return position + 2 < end && text[position + 2] == 0x65 ? 3 : 0
        case 0x6C:  // l
            return position + 2 < end && text[position + 2] == 0x6C ? 3 : 0
        default:
            return 0
        }
    }
}
