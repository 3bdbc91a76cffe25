import CPhiKernels
import PhiFormat
import PhiTestSupport
import Testing

struct TensorEncodingTests {
    /// The kernels' list and the cases of the type are the same encodings.
    @Test
    func casesAreTheListOfTheKernels() {
        let listed = (0..<phi_encoding_count()).compactMap { phi_encoding_at($0)?.pointee }
        let cases = TensorEncoding.allCases.filter { $0 != .vector }
        #expect(cases.map(\.rawValue) == listed.map(\.number))
        #expect(cases.map { "\($0)" } == listed.map { String(cString: $0.name) })
        #expect(cases.map(\.name) == listed.map { String(cString: $0.name) })
    }

    /// Tiles of 64, 256, 257 and 2048 columns: 1, 4, 5 and 32 strips in 1, 1, 2 and 8 blocks.
    @Test(arguments: [
        (TensorEncoding.f32, [4096, 16_384, 20_480, 131_072]), (.f16, [2048, 8192, 10_240, 65_536]),
        (.q8, [1056, 4128, 5184, 33_024]), (.q4, [576, 2208, 2784, 17_664]),
        (.q3, [448, 1696, 2144, 13_568]),
    ])
    func tilesHaveTheSizeOfTheirStripsAndScales(_ encoding: TensorEncoding, _ bytes: [Int]) {
        for (columns, bytes) in zip([64, 256, 257, 2048], bytes) {
            #expect(encoding.tileBytes(columns: columns) == bytes)
            #expect(encoding.byteCount(rows: 17, columns: columns) == 2 * bytes)
        }
    }

    @Test
    func bitsAreThoseOfWholeBlocks() {
        #expect(TensorEncoding.allCases.map(\.bitsPerWeight) == [32, 32, 16, 8.0625, 4.3125, 3.3125])
    }

    @Test(arguments: TensorEncoding.allCases)
    func impossibleShapesHaveNoSize(_ encoding: TensorEncoding) {
        for (rows, columns) in [(0, 1), (1, 0), (-1, 1), (1, -1), (1 << 32, 1), (1, 1 << 32), (Int.max, Int.max)] {
            #expect(encoding.byteCount(rows: rows, columns: columns) == nil, "\(rows) x \(columns)")
        }
        // From 4 bits a weight on, 2^64 weights have more bytes than Int counts.
        let largest = encoding.byteCount(rows: Int(UInt32.max), columns: Int(UInt32.max))
        #expect((largest == nil) == (encoding.bitsPerWeight >= 4))
        #expect(encoding.tileBytes(columns: 0) == nil)
    }

    @Test
    func vectorsHaveOneColumn() {
        #expect(TensorEncoding.vector.byteCount(rows: 5, columns: 1) == 20)
        #expect(TensorEncoding.vector.byteCount(rows: 5, columns: 2) == nil)
        #expect(TensorEncoding.vector.tileBytes(columns: 64) == nil)
    }
}
