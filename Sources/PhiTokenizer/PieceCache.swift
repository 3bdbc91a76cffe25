/// The pieces of up to 15 bytes that one call has met, with the place of their tokens in that call's output.
///
/// A text repeats its words: nine pieces of ten are found here. Direct-mapped: a piece takes the place of the one
/// there.
struct PieceCache {
    private struct Entry {
        /// The piece, as `ByteView.words` gives it; 0 and 0, which no piece has, in an empty entry.
        var low: UInt64 = 0
        var high: UInt64 = 0
        var first = 0
        var count = 0
    }

    /// The longest piece, in bytes.
    static let limit = 15

    private var entries: [Entry]

    /// A cache for a text of `bytes` bytes: larger for longer ones, for making it takes time too.
    init(bytes: Int) {
        var count = 16
        while count < 4096, count < bytes / 16 { count *= 2 }
        entries = [Entry](repeating: Entry(), count: count)
    }

    /// Where the tokens of the piece are in the output, if it was met.
    @inline(__always)
    func find(_ low: UInt64, _ high: UInt64) -> Range<Int>? {
        let entry = entries[place(low, high)]
        guard entry.low == low, entry.high == high else { return nil }
        return entry.first..<entry.first + entry.count
    }

    /// Remembers the place of a piece's tokens.
    @inline(__always)
    mutating func remember(_ low: UInt64, _ high: UInt64, _ tokens: Range<Int>) {
        entries[place(low, high)] = Entry(low: low, high: high, first: tokens.lowerBound, count: tokens.count)
    }

    @inline(__always)
    private func place(_ low: UInt64, _ high: UInt64) -> Int {
        var hash = (low ^ high &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash) & (entries.count &- 1)
    }
}
