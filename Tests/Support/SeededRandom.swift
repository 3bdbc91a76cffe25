/// SplitMix64: the same numbers in every run.
package struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
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
