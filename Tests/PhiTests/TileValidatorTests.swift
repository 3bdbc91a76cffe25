import Phi
import PhiFormat
import PhiTestSupport
import Testing

/// Every bit of a matrix's tiles set that must be zero, and every other thing that tiles must not hold.
struct TileCheckTests {
    /// The fault that `verifyWeights` finds when `change` has been made to the bytes of `section`.
    private func fault(
        _ encoding: TensorEncoding, _ section: String, _ change: (inout [UInt8]) -> Void
    ) throws -> String? {
        let model = try TinyPhi(hidden: 40, intermediate: 250, layers: 1, heads: 5).model(encoding)
        let changed = try TinyPhi.copy(of: model) { name, bytes in if name == section { change(&bytes) } }
        try changed.file.verify()
        do {
            try changed.verifyWeights()
            return nil
        } catch {
            return error.fault
        }
    }

    /// The head is 290 x 40: its last tile has 2 rows, its only strip 40 columns, so that group 2 has 8 of 16 and
    /// group 3 none.
    private static let head = "head.weight"

    @Test(arguments: [TensorEncoding.q3, .q4, .q8, .f16, .f32])
    func soundTilesPass(_ encoding: TensorEncoding) throws {
        #expect(try fault(encoding, Self.head) { _ in } == nil)
    }

    @Test(arguments: [(TensorEncoding.f32, 4), (.f16, 2)])
    func paddingOfFloats(_ encoding: TensorEncoding, _ size: Int) throws {
        let padding = "head.weight has padding that is not zero"
        let last = 18 * encoding.stripBytes
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

    /// The byte of a strip that holds the code of row 0 and column `k`, in q3 the lower two bits.
    private func code(_ encoding: TensorEncoding, _ k: Int) -> Int {
        switch encoding {
        case .q8: 64 * (k / 4) + k % 4
        case .q4: 32 + 64 * (k / 8) + k % 4
        default: 32 + 192 * (k / 32) + 64 * (k / 16 % 2) + k % 4
        }
    }

    @Test(arguments: [TensorEncoding.q3, .q4, .q8])
    func scalesAndCodes(_ encoding: TensorEncoding) throws {
        let last = 18 * (32 + encoding.stripBytes)
        func found(_ at: Int, _ value: UInt8) throws -> String? { try fault(encoding, Self.head) { $0[at] = value } }
        #expect(try found(2 * 5 + 1, 0x7c) == "head.weight has a scale that is not finite")
        #expect(try found(2 * 5 + 1, 0x3c) == nil)
        #expect(try found(last + 2 * 1 + 1, 0x3c) == nil)
        #expect(try found(last + 2 * 2, 1) == "head.weight has a padding scale that is not zero")
        let column: (Int) -> Int = { 32 + code(encoding, $0) }
        let padding = "head.weight has padding that is not zero"
        #expect(try found(column(40), encoding == .q3 ? 0x10 : 1) == padding)
        #expect(try found(last + column(0) + 4 * 2, 1) == padding)
        #expect(try found(last + column(0) + 4, 1) == nil)
        if encoding == .q3 {
            #expect(try found(column(40), 0x0f) == nil)  // columns 32 and 36
            let third = 32 + 32 + 192 + 128
            #expect(try found(third, 0x03) == nil)
            #expect(try found(third, 0x04) == padding)
            #expect(try found(third + 3, 0x80) == padding)
        }
        if encoding == .q8 {
            #expect(try found(column(39), 0) == "head.weight has a q8 code of 0")
            #expect(try found(last + column(39) + 4, 0) == "head.weight has a q8 code of 0")
        }
    }

    @Test(arguments: [TensorEncoding.q3, .q4])
    func factors(_ encoding: TensorEncoding) throws {
        let last = 18 * (32 + encoding.stripBytes)
        let padding = "head.weight has a padding factor that is not zero"
        // In whole tiles the last group alone is padding, in the last tile rows 2 and on are too.
        for (at, value, isPadding) in [
            (32 + 2 * 5, 0x88, false), (32 + 2 * 5 + 1, 0x0f, false), (32 + 2 * 5 + 1, 0x10, true),
            (last + 32 + 2 * 1 + 1, 0x0f, false), (last + 32 + 2 * 1 + 1, 0x80, true), (last + 32 + 2 * 2, 0x01, true),
        ] as [(Int, UInt8, Bool)] {
            let found = try fault(encoding, Self.head) { $0[at] = value }
            #expect(found == (isPadding ? padding : nil), "byte \(at)")
        }
    }

    /// The output projection is 40 x 290: a tile has a block of four strips and one of a single strip with 34 columns, the
    /// last tile has 8 rows.
    @Test(arguments: [TensorEncoding.q3, .q4, .q8])
    func theLastBlockOfATile(_ encoding: TensorEncoding) throws {
        let name = "block.0.out.weight"
        func found(_ at: Int, _ value: UInt8) throws -> String? { try fault(encoding, name) { $0[at] = value } }
        let second = 32 + 4 * encoding.stripBytes
        let tile = second + 32 + encoding.stripBytes
        for start in [0, second, tile, tile + second] {
            #expect(try found(start + 2 * 15 + 1, 0xfc) == "\(name) has a scale that is not finite")
            #expect(try found(start + 2 * 15 + 1, 0x3c) == nil)
            #expect(try found(2 * tile + start % tile + 2 * 8, 1) == "\(name) has a padding scale that is not zero")
        }
        for start in [second, tile + second].map({ $0 + 32 }) {
            #expect(try found(start + code(encoding, 34), 1) == "\(name) has padding that is not zero")
            if encoding != .q8 {
                #expect(try found(start + 1, 0x80) == "\(name) has a padding factor that is not zero")
                #expect(try found(start - 32 - encoding.stripBytes + 1, 0x80) == nil)
            }
        }
    }
}
