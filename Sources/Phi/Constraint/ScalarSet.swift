/// A set of Unicode scalars, as sorted ranges with gaps between them.
struct ScalarSet: Sendable, Equatable {
    private(set) var ranges: [ClosedRange<UInt32>]

    /// Creates the union of `ranges`, which may overlap.
    init(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    /// Creates the set of the scalars of `text`.
    init(_ text: some Sequence<Unicode.Scalar>) { self.init(text.map { $0.value...$0.value }) }

    static let all = ScalarSet([0...0x10FFFF])

    var isEmpty: Bool { ranges.isEmpty }

    /// The scalars that are not in the set.
    var inverted: ScalarSet {
        var gaps: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { gaps.append(next...0x10FFFF) }
        return ScalarSet(gaps)
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    func intersection(_ other: ScalarSet) -> ScalarSet { inverted.union(other.inverted).inverted }

    func contains(_ scalar: Unicode.Scalar) -> Bool { ranges.contains { $0.contains(scalar.value) } }

    /// The UTF-8 of the set's scalars: each sequence of byte ranges stands for all its combinations. Surrogates have none.
    var utf8: [[ClosedRange<UInt8>]] { ranges.flatMap { Self.utf8(of: $0) } }

    private static let lengths: [ClosedRange<UInt32>] = [
        0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
    ]

    private static func utf8(of range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
        lengths.flatMap { $0.overlaps(range) ? split(range.clamped(to: $0)) : [] }
    }

    /// The sequences of scalars whose UTF-8 has one length: split where a continuation byte does not have its whole range.
    private static func split(_ range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
        let (low, high) = (range.lowerBound, range.upperBound)
        let continuations = low < 0x80 ? 0 : low < 0x800 ? 1 : low < 0x10000 ? 2 : 3
        for index in 0..<continuations {
            let mask: UInt32 = 1 << (6 * UInt32(index + 1)) - 1
            guard low | mask != high | mask else { break }
            if low & mask != 0 { return split(low...low | mask) + split((low | mask) + 1...high) }
            if high & mask != mask { return split(low...(high & ~mask) - 1) + split(high & ~mask...high) }
        }
        return [zip(encoded(low), encoded(high)).map { $0...$1 }]
    }

    private static func encoded(_ scalar: UInt32) -> [UInt8] {
        Unicode.Scalar(scalar).map { Array(String(Character($0)).utf8) } ?? []
    }
}
