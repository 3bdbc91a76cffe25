#if _endian(big)
    #error("checkpoints and .phi files are little-endian and are read as they lie")
#endif

/// Exact conversions of 16-bit floats to 32-bit ones, in loops without branches that the compiler vectorises.
enum HalfPrecision {
    /// One IEEE 754 binary16. Shifting moves its 15 bits into place; multiplying by 2^112 corrects the exponent's bias and
    /// makes normal numbers of the subnormals; infinities and NaNs keep their payload and get the full exponent.
    @inline(__always)
    static func widen(_ half: UInt16) -> Float {
        let shifted = UInt32(half & 0x7FFF) << 13
        let finite = (Float(bitPattern: shifted) * Float(bitPattern: 0x7780_0000)).bitPattern
        let magnitude = shifted >= 0x0F80_0000 ? shifted | 0x7F80_0000 : finite
        return Float(bitPattern: magnitude | UInt32(half & 0x8000) << 16)
    }

    /// IEEE 754 binary16.
    static func widenFloat16(_ halves: UnsafeBufferPointer<UInt16>, into floats: UnsafeMutableBufferPointer<Float>) {
        precondition(halves.count == floats.count)
        for index in 0..<halves.count { floats[index] = widen(halves[index]) }
    }

    /// bfloat16: the upper half of a binary32.
    static func widenBFloat16(_ halves: UnsafeBufferPointer<UInt16>, into floats: UnsafeMutableBufferPointer<Float>) {
        precondition(halves.count == floats.count)
        for index in 0..<halves.count { floats[index] = Float(bitPattern: UInt32(halves[index]) << 16) }
    }
}
