import Foundation
import Phi
import PhiTestSupport
import Testing

/// The engine's own elementary functions against the system's.
struct DeterministicMathTests {
    @Test
    func exponentials() {
        var generator = SeededRandom(seed: 1)
        for _ in 0..<20_000 {
            let x = Double.random(in: -700...0, using: &generator)
            let truth = Foundation.exp(x)
            #expect(abs(DeterministicMath.exp(x) - truth) <= 2e-15 * truth)
            #expect(abs(DeterministicMath.exp(-x) - 1 / truth) <= 4e-15 / truth)
            let lanes = DeterministicMath.exp(atMostZero: SIMD8(x, x / 10, x / 100, x / 1000, 0, -0.0, -700, x))
            #expect(abs(lanes[0] - truth) <= 2e-15 * truth)
            #expect(abs(lanes[1] - Foundation.exp(x / 10)) <= 2e-15 * Foundation.exp(x / 10))
            #expect(abs(lanes[2] - Foundation.exp(x / 100)) <= 2e-15)
            #expect(abs(lanes[3] - Foundation.exp(x / 1000)) <= 2e-15)
            #expect(lanes[4] == 1 && lanes[5] == 1 && lanes[6] > 0 && lanes[7] == lanes[0])
        }
        #expect(DeterministicMath.exp(0) == 1)
        #expect(DeterministicMath.exp(-701) == 0 && DeterministicMath.exp(701) == .infinity)
        let edges = DeterministicMath.exp(atMostZero: SIMD8(-700.1, -1e300, -.infinity, .nan, -.nan, 0, -1, -2))
        #expect((0..<5).allSatisfy { edges[$0] == 0 })
    }

    @Test
    func logarithms() {
        var generator = SeededRandom(seed: 2)
        for _ in 0..<20_000 {
            let x = Foundation.exp(Double.random(in: -50...50, using: &generator))
            #expect(abs(DeterministicMath.log(x) - Foundation.log(x)) <= 1e-15 * max(1, abs(Foundation.log(x))) * 2)
        }
    }

    @Test
    func circularFunctions() {
        var generator = SeededRandom(seed: 3)
        for _ in 0..<20_000 {
            let x = Double.random(in: -1e6...1e6, using: &generator)
            let (cosine, sine) = DeterministicMath.cosineAndSine(x)
            #expect(abs(cosine - Foundation.cos(x)) <= 2e-10 && abs(sine - Foundation.sin(x)) <= 2e-10)
        }
    }

    @Test func anyNumberIsAnInteger() {
        for (number, integer) in [
            (2.9, 2), (-2.9, -2), (1e300, Int.max), (-.infinity, Int.min), (.nan, 0), (0x1p63, Int.max),
            (-0x1p63, Int.min),
        ] { #expect(Int(bounded: number) == integer) }
        for number in [1e300, -.infinity, .nan] {
            _ = DeterministicMath.cosineAndSine(number)
            _ = DeterministicMath.exp(number)
        }
    }
}
