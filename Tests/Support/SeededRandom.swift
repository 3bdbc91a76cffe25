/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers in every run.
package struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// Starts at the FNV-1a hash of a name, the rule of `Tools/phitools/seeded.py` for a tensor's values.
    package init(name: String, seed: UInt64 = 1) {
        state = name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } ^ seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1, as `Tools/golden/documents.py` draws it.
    package mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// A roughly normal number: mean 0, variance 1.
    package mutating func normal() -> Float {
        (0..<12).reduce(-6) { sum, _ in sum + Float.random(in: 0..<1, using: &self) }
    }

    /// One to four bytes changed, or a piece cut out, doubled or set to 0xFF.
    package mutating func mutate(_ bytes: [UInt8], in range: Range<Int>) -> [UInt8] {
        var bytes = bytes
        let place = Int.random(in: range, using: &self)
        let length = min(Int.random(in: 1...12, using: &self), bytes.count - place)
        switch Int.random(in: 0..<8, using: &self) {
        case 0: bytes.removeSubrange(place..<place + length)
        case 1: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
        case 2: for index in place..<place + length { bytes[index] = 0xFF }
        case 3: bytes[place] = bytes.randomElement(using: &self) ?? 0
        default:
            for _ in 0..<Int.random(in: 1...4, using: &self) {
                bytes[Int.random(in: range, using: &self)] = UInt8.random(in: 0...255, using: &self)
            }
        }
        return bytes
    }
}

/// Tensors that follow from their names, by the rule at the top of `Tools/phitools/seeded.py`.
package enum Seeded {
    /// The integers of the tensor called `name`, -2^23 up to 2^23 - 1.
    package static func integers(_ name: String, _ count: Int, seed: UInt64 = 1) -> [Int32] {
        var random = SeededRandom(name: name, seed: seed)
        return (0..<count).map { _ in Int32(random.next() >> 40) - (1 << 23) }
    }

    /// The values of a tensor whose kind has this exponent, row-major; a norm's weights are around 1.
    package static func tensor(
        _ name: String, _ count: Int, exponent: Int, isNormWeight: Bool, seed: UInt64 = 1
    ) -> [Float] {
        let scale = Float(sign: .plus, exponent: exponent - 23, significand: 1)
        return integers(name, count, seed: seed).map { isNormWeight ? 1 + Float($0) * scale : Float($0) * scale }
    }

    /// Token ids below `vocabulary`, as `Tools/golden/tiny_phis.py` chooses them but for the first two.
    package static func ids(_ count: Int, vocabulary: Int) -> [Int32] {
        integers("ids", count).map { ($0 + (1 << 23)) % Int32(vocabulary) }
    }
}
