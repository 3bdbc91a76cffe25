import Phi

/// A mean with its standard error.
public struct Estimate: Sendable, Equatable {
    /// The mean.
    public let value: Double
    /// Its standard error, as llama-perplexity gives it: by the variance over n - 1; 0 of fewer than two values.
    public let error: Double

    /// Makes an estimate.
    public init(value: Double, error: Double) {
        self.value = value
        self.error = error
    }

    /// e to its power, with the error that follows to first order.
    var exponential: Estimate {
        let power = exponent(value)
        return Estimate(value: power, error: power * error)
    }

    /// Its square root, with the error that follows to first order.
    var squareRoot: Estimate {
        let root = value.squareRoot()
        return Estimate(value: root, error: root > 0 ? 0.5 / root * error : 0)
    }
}

/// Sums of values and of their squares, about the first of them, so that little is lost where they are alike.
package struct RunningMean {
    package init() {}

    package private(set) var count = 0
    private var first = 0.0
    private var sum = 0.0
    private var squares = 0.0

    package mutating func add(_ value: Double) {
        if count == 0 { first = value }
        count += 1
        sum += value - first
        squares += (value - first) * (value - first)
    }

    package var estimate: Estimate {
        guard count > 0 else { return Estimate(value: 0, error: 0) }
        let shift = sum / Double(count)
        let variance = max(0, squares / Double(count) - shift * shift)
        return Estimate(value: first + shift, error: count > 1 ? (variance / Double(count - 1)).squareRoot() : 0)
    }
}

/// Values in rising order.
package struct SortedValues {
    private let values: [Double]

    package init(_ values: [Double]) { self.values = values.sorted() }

    /// The value below which this share of all lies, between neighbours in a straight line; 0 of nothing.
    package func quantile(_ share: Double) -> Double {
        guard let last = values.last else { return 0 }
        let place = share * Double(values.count - 1)
        let index = Int(place)
        guard index + 1 < values.count else { return last }
        return values[index] + (place - Double(index)) * (values[index + 1] - values[index])
    }
}

/// e to the power of `x`, the same on every machine.
func exponent(_ x: Double) -> Double { DeterministicMath.exp(x) }
