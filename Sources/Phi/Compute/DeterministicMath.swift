/// Elementary functions of IEEE additions, multiplications and divisions in a fixed order. Those of C libraries differ
/// in their last bits and would change results from one system to another.
package enum DeterministicMath {
    package static let ln2 = 0.693147180559945309417

    /// Returns exp(x), to about 1e-15 relative; 0 below -700 and infinity above 700.
    package static func exp(_ x: Double) -> Double {
        if x < -700 { return 0 }
        if x > 700 { return .infinity }
        let n = (x / ln2).rounded()
        let r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10  // ln 2 in two parts
        var term = 1.0
        var sum = 1.0
        for i in 1...18 {
            term = term * r / Double(i)
            sum += term
        }
        return sum * Double(sign: .plus, exponent: Int(bounded: n), significand: 1)
    }

    /// Returns the natural logarithm of a positive `x`, to about 1e-15 relative.
    package static func log(_ x: Double) -> Double {
        var exponent = Double(x.exponent)
        var m = x.significand
        if m > 1.4142135623730951 {
            m /= 2
            exponent += 1
        }
        let s = (m - 1) / (m + 1)
        let square = s * s
        var power = s
        var sum = 0.0
        for i in stride(from: 1, through: 31, by: 2) {
            sum += power / Double(i)
            power *= square
        }
        return 2 * sum + exponent * ln2
    }

    /// Returns the cosine and sine of `x`, |x| up to about 1e7, to about 1e-10 absolute.
    package static func cosineAndSine(_ x: Double) -> (Double, Double) {
        let quarter = (x / 1.57079632679489661923).rounded()
        // pi / 2 in three parts (Cody and Waite).
        let r =
            ((x - quarter * 1.57079632673412561417) - quarter * 6.07710050630396597660e-11)
            - quarter * 2.02226624871116645580e-21
        let square = r * r
        var cosine = 1.0
        var sine = 1.0
        for i in stride(from: 16, through: 2, by: -2) {
            cosine = 1 - cosine * square / Double(i * (i - 1))
            sine = 1 - sine * square / Double(i * (i + 1))
        }
        sine *= r
        return switch Int(bounded: quarter) & 3 {
        case 0: (cosine, sine)
        case 1: (-sine, cosine)
        case 2: (-cosine, -sine)
        default: (sine, -cosine)
        }
    }
}

extension Int {
    /// The number without its fraction, or the nearest that there is; 0 for no number. Unlike `Int(_:)` it never traps.
    package init(bounded number: Double) {
        self = number.isNaN ? 0 : Int(exactly: number.rounded(.towardZero)) ?? (number < 0 ? .min : .max)
    }
}
