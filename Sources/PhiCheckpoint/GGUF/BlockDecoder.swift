import PhiFormat

/// One block of a ggml type, and the floats that it is decoded to as gguf-py's `gguf.quants` does, bit for bit: products and sums
/// are of 32-bit floats, in its order, and none are fused.
///
/// The layouts are those of https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h, from which the offsets here are.
struct BlockDecoder {
    private let bytes: UnsafeRawBufferPointer
    private let out: UnsafeMutableBufferPointer<Float>

    /// Writes the elements of a block of `type` to `out`. Both are as long as the type says.
    static func decode(
        _ type: BlockType, _ block: UnsafeRawBufferPointer, into out: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(block.count == type.bytes && out.count == type.elements)
        let decoder = BlockDecoder(bytes: block, out: out)
        switch type {
        case .q4_0: decoder.codes32(at: 2, zero: 8)
        case .q4_1: decoder.codes32(at: 4, minimum: 2)
        case .q5_0: decoder.codes32(at: 6, fifthBits: 2, zero: 16)
        case .q5_1: decoder.codes32(at: 8, fifthBits: 4, minimum: 2)
        case .q8_0: decoder.q8_0()
        case .iq4_NL: decoder.iq4_NL()
        case .q2_K: decoder.q2_K()
        case .q3_K: decoder.q3_K()
        case .q4_K: decoder.q4_K(codes: 16, fifthBits: nil)
        case .q5_K: decoder.q4_K(codes: 48, fifthBits: 16)
        case .q6_K: decoder.q6_K()
        case .iq4_XS: decoder.iq4_XS()
        }
    }

    // MARK: Blocks of 32

    /// Q4_0 to Q5_1: a scale, and a minimum or else a code that stands for zero.
    private func codes32(at codes: Int, fifthBits: Int? = nil, zero: Int = 0, minimum: Int? = nil) {
        let scale = half(0), offset = minimum.map(half)
        for index in 0..<32 {
            let fifth = fifthBits.map { bits(1, at: $0 + index / 8, shift: index % 8) << 4 } ?? 0
            let product = scale * Float((bits(4, at: codes + index % 16, shift: index / 16 * 4) | fifth) - zero)
            out[index] = offset.map { product + $0 } ?? product
        }
    }

    private func q8_0() {
        let scale = half(0)
        for index in 0..<32 { out[index] = Float(Int8(bitPattern: bytes[2 + index])) * scale }
    }

    private func iq4_NL() {
        let scale = half(0)
        for index in 0..<32 {
            out[index] = scale * Self.nonLinear[bits(4, at: 2 + index % 16, shift: index / 16 * 4)]
        }
    }

    // MARK: Blocks of 256, in groups with their own scales

    /// 16 pairs of a scale and a minimum | 64 bytes of codes | scale of scales | scale of minimums.
    private func q2_K() {
        let scales = half(80), minimums = half(82)
        groups(of: 16) { group in
            let scale = scales * Float(bits(4, at: group, shift: 0))
            let minimum = minimums * Float(bits(4, at: group, shift: 4))
            return { scale * Float(twoBits(16, $0)) - minimum }
        }
    }

    /// 32 bytes of third bits | 64 bytes of codes | 16 scales of 6 bits | scale of scales.
    private func q3_K() {
        let scales = half(108)
        groups(of: 16) { group in
            let low = bits(4, at: 96 + group % 8, shift: group / 8 * 4)
            let high = bits(2, at: 104 + group % 4, shift: group / 4 * 2)
            let scale = scales * Float((low | high << 4) - 32)
            return { scale * Float(twoBits(32, $0) - (bits(1, at: $0 % 32, shift: $0 / 32) == 1 ? 0 : 4)) }
        }
    }

    /// Q4_K and Q5_K: scale of scales | scale of minimums | 8 pairs of 6 bits | 32 bytes of fifth bits, if any | 128 of codes.
    private func q4_K(codes: Int, fifthBits: Int?) {
        let scales = half(0), minimums = half(2)
        groups(of: 32) { group in
            let (scale, minimum) = pair(group)
            let (product, offset) = (scales * Float(scale), minimums * Float(minimum))
            return { index in
                let fifth = fifthBits.map { bits(1, at: $0 + index % 32, shift: group) << 4 } ?? 0
                let code = bits(4, at: codes + group / 2 * 32 + index % 32, shift: group % 2 * 4)
                return product * Float(code | fifth) - offset
            }
        }
    }

    /// Scale and minimum of a group, from the 12 bytes at 4: the last four have the lower halves of the last four pairs.
    private func pair(_ group: Int) -> (scale: Int, minimum: Int) {
        if group < 4 { return (bits(6, at: 4 + group, shift: 0), bits(6, at: 8 + group, shift: 0)) }
        let (low, high) = (bits(4, at: 8 + group, shift: 0), bits(4, at: 8 + group, shift: 4))
        return (low | bits(2, at: group, shift: 6) << 4, high | bits(2, at: 4 + group, shift: 6) << 4)
    }

    /// 128 bytes of the codes' lower halves | 64 bytes of their upper bits | 16 scales | scale of scales.
    private func q6_K() {
        let scales = half(208)
        groups(of: 16) { group in
            let scale = scales * Float(Int8(bitPattern: bytes[192 + group]))
            return { index in
                let low = bits(4, at: index / 128 * 64 + index % 64, shift: index / 64 % 2 * 4)
                return scale * Float((low | twoBits(128, index) << 4) - 32)
            }
        }
    }

    /// Scale of scales | upper bits of 8 scales | their lower halves | 128 bytes of codes.
    private func iq4_XS() {
        let scales = half(0)
        groups(of: 32) { group in
            let low = bits(4, at: 4 + group / 2, shift: group % 2 * 4)
            let high = bits(2, at: 2 + group / 4, shift: group % 4 * 2)
            let scale = scales * Float((low | high << 4) - 32)
            return { scale * Self.nonLinear[bits(4, at: 8 + group * 16 + $0 % 16, shift: $0 / 16 % 2 * 4)] }
        }
    }

    /// The values of the codes of IQ4_NL and IQ4_XS.
    private static let nonLinear: [Float] = [
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]

    // MARK: Bits

    /// Writes 256 elements, by the function that `group` gives for each group of `count`.
    @inline(__always)
    private func groups(of count: Int, _ group: (Int) -> (Int) -> Float) {
        for start in stride(from: 0, to: 256, by: count) {
            let element = group(start / count)
            for index in start..<start + count { out[index] = element(index) }
        }
    }

    /// The 16-bit float at `offset`.
    private func half(_ offset: Int) -> Float { HalfPrecision.widen(bytes.littleEndian(at: offset, as: UInt16.self)) }

    /// `count` bits of the byte at `offset`, from bit `shift` on.
    @inline(__always)
    private func bits(_ count: Int, at offset: Int, shift: Int) -> Int {
        Int(bytes[offset]) >> shift & (1 << count - 1)
    }

    /// Two bits of an element of 256, of 64 bytes at `offset`: a byte has those of elements 32 apart.
    @inline(__always)
    private func twoBits(_ offset: Int, _ index: Int) -> Int {
        bits(2, at: offset + index / 128 * 32 + index % 32, shift: index / 32 % 4 * 2)
    }
}
