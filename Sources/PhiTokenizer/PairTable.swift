/// A hash table from pairs of integers to their insertion order, with open addressing and linear probing.
///
/// The hash has a random odd multiplier, so that no file can be crafted whose pairs all collide. Results do not depend
/// on it. Lookup and insertion take constant time on average.
struct PairTable: Sendable {
    /// The value of `self[left, right]` for a pair that is not in the table.
    static let absent = UInt32.max

    /// The pairs in insertion order, each with its left integer in the upper half.
    private var pairs: [UInt64] = []
    /// Indices into `pairs`, or `absent`. At most half of the slots are taken; they are small because filling them
    /// dominates the time to open a vocabulary.
    private var slots: [UInt32]
    private let multiplier: UInt64
    private let shift: UInt64

    /// Creates an empty table for `capacity` pairs, fewer than `absent`.
    init(capacity: Int) {
        precondition(capacity < Int(Self.absent))
        var bits: UInt64 = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        slots = [UInt32](repeating: Self.absent, count: 1 << bits)
        pairs.reserveCapacity(capacity)
        multiplier = UInt64.random(in: 0...UInt64.max) | 1
        shift = 64 - bits
    }

    /// The insertion index of a pair, or `absent`.
    @inline(__always)
    subscript(left: UInt32, right: UInt32) -> UInt32 {
        slots[slot(Self.pair(left, right))]
    }

    /// Adds a pair and returns whether it was new; an existing pair keeps its index.
    ///
    /// - Precondition: The table holds fewer pairs than its capacity.
    @inline(__always)
    mutating func insert(_ left: UInt32, _ right: UInt32) -> Bool {
        let pair = Self.pair(left, right)
        let slot = slot(pair)
        guard slots[slot] == Self.absent else { return false }
        slots[slot] = UInt32(pairs.count)
        pairs.append(pair)
        return true
    }

    @inline(__always)
    private static func pair(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    /// Returns the slot that holds the pair, or the empty slot for it.
    @inline(__always)
    private func slot(_ pair: UInt64) -> Int {
        var hash = pair &* multiplier
        hash = (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
        var slot = Int(truncatingIfNeeded: hash >> shift)
        while true {
            let index = slots[slot]
            if index == Self.absent || pairs[Int(index)] == pair { return slot }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
    }
}
