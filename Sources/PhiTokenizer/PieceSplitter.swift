/// Cuts text into the pieces within which tokens are merged, as GPT-2's encoder.py does with the pattern
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// The pattern matches at every place, so that the pieces follow each other without gaps. It is written out by hand:
/// linear time, no backtracking beyond one character.
struct PieceSplitter {
    private let text: ByteView
    private var position: Int
    /// Where the text is taken to end, for the lookahead too.
    private let end: Int

    init(_ text: ByteView, _ range: Range<Int>) {
        self.text = text
        self.position = range.lowerBound
        self.end = range.upperBound
    }

    /// The next piece; nil at the end. Linear in its length.
    mutating func next() -> Range<Int>? {
        guard position < end else { return nil }
        let start = position
        position = endOfPiece(from: start)
        return start..<position
    }

    private func endOfPiece(from start: Int) -> Int {
        let contraction = lengthOfContraction(at: start)
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

    /// `\s+(?!\S)|\s+`: all of a run of white space at the end of the text; before anything else all but its last
    /// character, unless that is the only one.
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

    /// The length of the `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at `position`; 0 if there is none.
    @inline(__always)
    private func lengthOfContraction(at position: Int) -> Int {
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
