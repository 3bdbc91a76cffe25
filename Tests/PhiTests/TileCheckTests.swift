import Foundation
import Phi
import PhiFormat
import Testing

/// Every bit of a matrix's tiles set that must be zero, and every other thing that tiles must not hold.
struct TileCheckTests {
    /// The fault that `verifyWeights` finds when `change` has been made to the bytes of `section`.
    private func fault(
        _ encoding: TensorEncoding, _ section: String, _ change: (inout [UInt8]) -> Void
    ) throws -> String? {
        let path = NSTemporaryDirectory() + "tiles-\(UUID().uuidString).phi"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let model = try TinyPhi(hidden: 40, intermediate: 72, layers: 1, heads: 5).model(encoding)
        let writer = try PhiFileWriter(path: path, sectionCount: model.file.sections.count, overwrite: false)
        for old in model.file.sections {
            var bytes = Array(model.file.bytes(of: old))
            if old.name == section { change(&bytes) }
            if let encoding = old.encoding {
                try writer.begin(old.name, encoding: encoding, rows: old.rows, columns: old.columns)
                try bytes.withUnsafeBytes { try writer.append($0) }
                try writer.end()
            } else {
                try writer.write(old.name, required: old.isRequired, bytes: bytes)
            }
        }
        try writer.commit()
        let changed = try LanguageModel(path: path)
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
