extension DeterministicMath {
    /// Returns exp(x) for x <= 0, to about 1e-15 relative; 0 below -700 and for NaN.
    @inline(__always)
    package static func exp(atMostZero x: SIMD8<Double>) -> SIMD8<Double> {
        let isTooSmall = .!(x .>= -700)  // true for NaN
        let clamped = x.replacing(with: -700, where: isTooSmall)
        // Adding 1.5 * 2^52 rounds to the nearest integer and leaves it in the low bits.
        let rounder = 0x1.8p52
        let shifted = clamped * 1.44269504088896340736 + rounder
        let n = shifted - rounder
        let r = (clamped - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10  // ln 2 in two parts
        // Taylor series up to r^13 / 13!: |r| is at most 0.347, so that r^14 / 14! is below 5e-18.
        var sum = r * (1.0 / 6_227_020_800) + (1.0 / 479_001_600)
        sum = sum * r + (1.0 / 39_916_800)
        sum = sum * r + (1.0 / 3_628_800)
        sum = sum * r + (1.0 / 362_880)
        sum = sum * r + (1.0 / 40_320)
        sum = sum * r + (1.0 / 5040)
        sum = sum * r + (1.0 / 720)
        sum = sum * r + (1.0 / 120)
        sum = sum * r + (1.0 / 24)
        sum = sum * r + (1.0 / 6)
        sum = sum * r + 0.5
        sum = sum * r + 1
        sum = sum * r + 1
        let exponent = unsafeBitCast(shifted, to: SIMD8<Int64>.self) &<< 52
        let power = unsafeBitCast(exponent &+ 0x3ff0_0000_0000_0000, to: SIMD8<Double>.self)
        return (sum * power).replacing(with: 0, where: isTooSmall)
    }
}
