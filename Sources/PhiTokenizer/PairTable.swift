/// Numbers pairs of numbers in the order they are added in, and finds a pair's number: open addressing, linear probing.
///
/// The hash is multiplied by an odd number drawn at random, so that no file can be made whose pairs all collide. What
/// is found does not depend on it. A lookup or an insertion takes constant time on average.
struct PairTable: Sendable {
    /// What `self[left, right]` is for a pair that is not in the table.
    static let absent = UInt32.max

    /// The pairs, left above right, in their order.
    private var pairs: [UInt64] = []
    /// Numbers of pairs. At most half of the slots are taken, and slots are small, so that filling them is quick: this
    /// is most of what opening a vocabulary takes.
    private var slots: [UInt32]
    private let multiplier: UInt64
    private let shift: UInt64

    /// An empty table with room for `capacity` pairs, which must be below `absent`.
    init(capacity: Int) {
        precondition(capacity < Int(Self.absent))
        var bits: UInt64 = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        slots = [UInt32](repeating: Self.absent, count: 1 << bits)
        pairs.reserveCapacity(capacity)
        multiplier = UInt64.random(in: 0...UInt64.max) | 1
        shift = 64 - bits
    }

    /// The number of a pair, or `absent`.
    @inline(__always)
    subscript(left: UInt32, right: UInt32) -> UInt32 {
        slots[place(Self.pair(left, right))]
    }

    /// Adds a pair and says whether it was new; one that was there keeps its number.
    ///
    /// The caller adds no more pairs than the capacity.
    @inline(__always)
    mutating func insert(_ left: UInt32, _ right: UInt32) -> Bool {
        let pair = Self.pair(left, right)
        let place = place(pair)
        guard slots[place] == Self.absent else { return false }
        slots[place] = UInt32(pairs.count)
        pairs.append(pair)
        return true
    }

    @inline(__always)
    private static func pair(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    /// The slot that holds the pair, or the empty one that would.
    @inline(__always)
    private func place(_ pair: UInt64) -> Int {
        var hash = pair &* multiplier
        hash = (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
        var place = Int(truncatingIfNeeded: hash >> shift)
        while true {
            let number = slots[place]
            if number == Self.absent || pairs[Int(number)] == pair { return place }
            place = (place &+ 1) & (slots.count &- 1)
        }
    }
}
