import Phi
import PhiFormat
import Testing

/// Every bit of a matrix's tiles set that must be zero, and every other thing that tiles must not hold.
struct TileCheckTests {
    /// The fault that `verifyWeights` finds when `change` has been made to the bytes of `section`.
    private func fault(
        _ encoding: TensorEncoding, _ section: String, _ change: (inout [UInt8]) -> Void
    ) throws -> String? {
        let model = try TinyPhi(hidden: 40, intermediate: 72, layers: 1, heads: 5).model(encoding)
        let changed = try TinyPhi.copy(of: model) { name, bytes in if name == section { change(&bytes) } }
        try changed.file.verify()
        do {
            try changed.verifyWeights()
            return nil
        } catch {
            return error.fault
        }
    }

    /// The head is 290 x 40: its last tile has 2 rows, its blocks 40 columns, so that group 1 has 8 of 32.
    private static let head = "head.weight"

    @Test(arguments: [TensorEncoding.q4, .q8, .f16, .f32])
    func soundTilesPass(_ encoding: TensorEncoding) throws {
        #expect(try fault(encoding, Self.head) { _ in } == nil)
    }

    @Test(arguments: [(TensorEncoding.f32, 4), (.f16, 2)])
    func paddingOfFloats(_ encoding: TensorEncoding, _ size: Int) throws {
        let padding = "head.weight has padding that is not zero"
        let last = 18 * encoding.blockBytes
        for (at, isPadding) in [
            (16 * 39 * size, false), (16 * 40 * size, true), (1024 * size - 1, true), (last + size, false),
            (last + 2 * size, true), (last + (16 * 39 + 15) * size, true),
        ] {
            #expect(try fault(encoding, Self.head) { $0[at] ^= 1 } == (isPadding ? padding : nil), "byte \(at)")
        }
    }

    @Test(arguments: [(TensorEncoding.f32, 4), (.f16, 2)])
    func floatsThatAreNotFinite(_ encoding: TensorEncoding, _ size: Int) throws {
        for exponent in [0x7f, 0xff] as [UInt8] {
            let found = try fault(encoding, Self.head) {
                $0[16 * 7 * size + size - 1] = exponent
                $0[16 * 7 * size + size - 2] = 0x80
            }
            #expect(found == "head.weight has an element that is not finite")
        }
        let found = try fault(encoding, "norm.bias") { $0[6...7] = [0x80, 0x7f] }
        #expect(found == "norm.bias has an element that is not finite")
    }

    @Test(arguments: [TensorEncoding.q4, .q8])
    func scalesAndCodes(_ encoding: TensorEncoding) throws {
        let last = 18 * encoding.blockBytes
        func found(_ at: Int, _ value: UInt8) throws -> String? { try fault(encoding, Self.head) { $0[at] = value } }
        for group in 0..<2 {
            #expect(try found(32 * group + 2 * 5 + 1, 0x7c) == "head.weight has a scale that is not finite")
            #expect(try found(32 * group + 2 * 5 + 1, 0x3c) == nil)
            #expect(try found(last + 32 * group + 2 * 2, 1) == "head.weight has a padding scale that is not zero")
        }
        let column: (Int) -> Int = { encoding == .q8 ? 64 + 64 * ($0 / 4) + $0 % 4 : 64 + 64 * ($0 / 8) + $0 % 4 }
        #expect(try found(column(40), 1) == "head.weight has padding that is not zero")
        #expect(try found(last + column(0) + 4 * 2, 1) == "head.weight has padding that is not zero")
        #expect(try found(last + column(0) + 4, 1) == nil)
        if encoding == .q8 {
            #expect(try found(column(39), 0) == "head.weight has a q8 code of 0")
            #expect(try found(last + column(39) + 4, 0) == "head.weight has a q8 code of 0")
        }
    }
}
