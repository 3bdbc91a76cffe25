import CPhiKernels
import Testing

/// Conversion between f16 and f32.
struct HalfTests {
    @Test func everyHalfThereAndBack() {
        for bits in UInt16.min...UInt16.max {
            let value = phi_half_to_float(bits)
            if value.isNaN { continue }
            #expect(phi_float_to_half(value) == bits)
        }
    }

    @Test func roundsToTheNearestTiesToEven() {
        for bits: UInt16 in 0..<0x7bff {
            let low = phi_half_to_float(bits), high = phi_half_to_float(bits + 1)
            let middle = (low + high) / 2
            #expect(phi_float_to_half(middle) == (bits % 2 == 0 ? bits : bits + 1))
            #expect(phi_float_to_half(middle.nextDown) == bits)
            #expect(phi_float_to_half(middle.nextUp) == bits + 1)
        }
        #expect(phi_half_to_float(phi_float_to_half(65519)) == 65504)
        #expect(phi_half_to_float(phi_float_to_half(65520)) == .infinity)
    }
}
