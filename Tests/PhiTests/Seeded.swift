/// Tensors that follow from their names, by the rule at the top of `Tools/phitools/seeded.py`.
enum Seeded {
    /// The integers v of the tensor called `name`, -2^23 up to 2^23 - 1.
    static func integers(_ name: String, _ count: Int, baseSeed: UInt64 = 1) -> [Int32] {
        var seed: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        for byte in name.utf8 { seed = (seed ^ UInt64(byte)) &* 0x100_0000_01b3 }
        seed ^= baseSeed
        return (0..<count).map { i in
            var z = seed &+ UInt64(i + 1) &* 0x9e37_79b9_7f4a_7c15
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            z ^= z >> 31
            return Int32(z >> 40) - (1 << 23)
        }
    }

    /// The values of a tensor whose kind has this exponent, row-major; a norm's weights are around 1.
    static func tensor(_ name: String, _ count: Int, exponent: Int, isNormWeight: Bool) -> [Float] {
        let scale = Float(sign: .plus, exponent: exponent - 23, significand: 1)
        return integers(name, count).map { isNormWeight ? 1 + Float($0) * scale : Float($0) * scale }
    }

    /// Ids below `vocabulary`, as `Tools/golden/tiny_phis.py` chooses them but for the first two.
    static func ids(_ count: Int, vocabulary: Int) -> [Int32] {
        integers("ids", count).map { ($0 + (1 << 23)) % Int32(vocabulary) }
    }
}
