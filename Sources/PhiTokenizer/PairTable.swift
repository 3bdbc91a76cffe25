/// A map from pairs of numbers to a number: open addressing, linear probing, at most half full.
///
/// The hash is multiplied by an odd number drawn at random, so that no file can be made whose pairs all collide. What is
/// found does not depend on it. A lookup or an insertion takes constant time on average.
struct PairTable: Sendable {
    /// What `self[left, right]` is for a pair that is not in the table; no value may equal it.
    static let absent = UInt32.max

    private struct Slot {
        var left: UInt32
        var right: UInt32
        var value: UInt32
    }

    private var slots: [Slot]
    private let multiplier: UInt64
    private let shift: UInt64

    /// An empty table with room for `capacity` pairs.
    init(capacity: Int) {
        var bits: UInt64 = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        slots = [Slot](repeating: Slot(left: 0, right: 0, value: Self.absent), count: 1 << bits)
        multiplier = UInt64.random(in: 0...UInt64.max) | 1
        shift = 64 - bits
    }

    /// The value of a pair, or `absent`.
    @inline(__always)
    subscript(left: UInt32, right: UInt32) -> UInt32 {
        let slot = slots[place(left, right)]
        return slot.value
    }

    /// Adds a pair and says whether it was new; one that was there keeps its value.
    ///
    /// The caller adds no more pairs than the capacity.
    mutating func insert(_ left: UInt32, _ right: UInt32, value: UInt32) -> Bool {
        let place = place(left, right)
        guard slots[place].value == Self.absent else { return false }
        slots[place] = Slot(left: left, right: right, value: value)
        return true
    }

    /// The slot that holds the pair, or the empty one that would.
    @inline(__always)
    private func place(_ left: UInt32, _ right: UInt32) -> Int {
        var hash = (UInt64(left) << 32 | UInt64(right)) &* multiplier
        hash = (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
        var place = Int(truncatingIfNeeded: hash >> shift)
        while true {
            let slot = slots[place]
            if slot.left == left && slot.right == right || slot.value == Self.absent { return place }
            place = (place &+ 1) & (slots.count &- 1)
        }
    }
}
