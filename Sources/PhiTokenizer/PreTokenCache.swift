/// A direct-mapped cache from pre-tokens of up to 15 bytes to their tokens' range in the output of one `encode` call.
///
/// Text repeats its words: nine lookups of ten hit. A new pre-token replaces the previous one in its slot.
struct PreTokenCache {
    private struct Entry {
        /// The pre-token as `ByteView.words` packs it; an empty entry has 0 and 0, which no pre-token has.
        var low: UInt64 = 0
        var high: UInt64 = 0
        var first = 0
        var count = 0
    }

    /// The longest pre-token, in bytes.
    static let limit = 15

    private var entries: [Entry]

    /// Creates a cache for a text of `bytes` bytes; short texts get a small one, which is faster to initialise.
    init(bytes: Int) {
        var count = 16
        while count < 4096, count < bytes / 16 { count *= 2 }
        entries = [Entry](repeating: Entry(), count: count)
    }

    /// Returns the range of a cached pre-token's tokens in the output.
    @inline(__always)
    func lookUp(_ low: UInt64, _ high: UInt64) -> Range<Int>? {
        let entry = entries[slot(low, high)]
        guard entry.low == low, entry.high == high else { return nil }
        return entry.first..<entry.first + entry.count
    }

    /// Caches the range of a pre-token's tokens.
    @inline(__always)
    mutating func insert(_ low: UInt64, _ high: UInt64, _ tokens: Range<Int>) {
        entries[slot(low, high)] = Entry(low: low, high: high, first: tokens.lowerBound, count: tokens.count)
    }

    @inline(__always)
    private func slot(_ low: UInt64, _ high: UInt64) -> Int {
        var hash = (low ^ high &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash) & (entries.count &- 1)
    }
}
