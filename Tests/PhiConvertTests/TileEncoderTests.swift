import CPhiKernels
import Phi
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

struct TileEncoderTests {
    /// Rounding Gaussian weights alone loses what the encoding's bits say: this share of their root mean square.
    @Test(arguments: [(TensorEncoding.q8, 0.006...0.008), (.q4, 0.073...0.079), (.q3, 0.139...0.147)])
    func gaussianWeightsLose(_ encoding: TensorEncoding, _ relative: ClosedRange<Double>) throws {
        let (rows, columns) = (80, 512)
        var random = SeededRandom(seed: 3)
        let weights = (0..<rows * columns).map { _ in 0.02 * random.normal() }
        let source = FloatBuffer(weights.count)
        _ = source.elements(0, weights.count).update(fromContentsOf: weights)
        let encoder = TileEncoder(encoding, try Kernels.fromEnvironment(), 2, rows: rows, columns: columns)
        let reported = encoder.encode(source, rows: rows).relative
        var stored = [Float](repeating: 0, count: columns)
        var (error, power) = (0.0, 0.0)
        encoder.withTiles { tiles in
            for row in 0..<rows {
                phi_row(tiles.baseAddress, encoding.rawValue, row, columns, &stored)
                for (value, weight) in zip(stored, weights[(row * columns)...]) {
                    error += Double(value - weight) * Double(value - weight)
                    power += Double(weight) * Double(weight)
                }
            }
        }
        let found = (error / power).squareRoot()
        #expect(relative.contains(found), "\(found)")
        #expect(abs(reported - found) < 1e-4 * reported)
    }
}
