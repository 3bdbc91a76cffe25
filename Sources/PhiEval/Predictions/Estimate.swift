import Phi

/// A mean with its standard error.
package struct Estimate: Sendable, Equatable {
    package let value: Double
    /// The standard error as in llama-perplexity, by the variance over n - 1; 0 for fewer than two values.
    package let error: Double

    package init(value: Double, error: Double) {
        self.value = value
        self.error = error
    }

    /// e to the power of the mean, with the error to first order.
    var exponential: Estimate {
        let power = DeterministicMath.exp(value)
        return Estimate(value: power, error: power * error)
    }

    /// The square root of the mean, with the error to first order.
    var squareRoot: Estimate {
        let root = value.squareRoot()
        return Estimate(value: root, error: root > 0 ? 0.5 / root * error : 0)
    }
}

/// The mean of values added one by one, by sums of their differences from the first, which round little if they are alike.
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

/// Values in ascending order.
package struct SortedValues {
    private let values: [Double]

    package init(_ values: [Double]) { self.values = values.sorted() }

    /// The value below which this fraction lies, interpolated between neighbours; 0 if there are none.
    package func quantile(_ share: Double) -> Double {
        guard let last = values.last else { return 0 }
        let place = share * Double(values.count - 1)
        let index = Int(place)
        guard index + 1 < values.count else { return last }
        return values[index] + (place - Double(index)) * (values[index + 1] - values[index])
    }
}
