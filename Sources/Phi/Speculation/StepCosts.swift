/// What steps of one to ``mostRows`` rows take, as measured, beside a step of one row.
///
/// The ratio of a number of rows is an assumption until steps of about as many rows were timed. Timings that are long past
/// count less and less, so what once looked too dear is tried again. Ratios change little with the sequences' lengths; the
/// duration of a step of one row does, and is measured again and again.
package struct StepCosts {
    /// The most rows of a step with drafts.
    package static let mostRows = 16
    /// Seconds of a step of one row; nil before the first.
    package private(set) var unit: Double?

    /// By number of rows less 1: the measured excess over one row, as a multiple of the assumed one, and how much it counts.
    private var measured = [Double](repeating: 1, count: mostRows)
    private var weights = [Double](repeating: 0, count: mostRows)
    private var plainSteps = 0
    /// The largest number of rows that was timed.
    private var mostKnown = 1
    /// The ratios that follow.
    private var ratios = (1...mostRows).map { 1 + assumedExcess($0) }

    /// A row more is assumed to take a tenth of a step of one row: low, so that it is tried, and then known.
    private static func assumedExcess(_ rows: Int) -> Double { 0.1 * Double(rows - 1) }

    /// How much the assumption counts, and the most that measurements of a number of rows do; each timing counts 1.
    private static let (assumptionWeight, mostWeight) = (0.5, 16.0)

    /// Returns the duration of a step of `rows` rows over that of one row.
    package func ratio(_ rows: Int) -> Double { ratios[min(max(1, rows), Self.mostRows) - 1] }

    /// ``ratio(_:)`` where it is more measured than assumed, else nil.
    package func measuredRatio(_ rows: Int) -> Double? {
        guard (1...Self.mostRows).contains(rows) else { return nil }
        return rows == 1 || weights[rows - 1] > Self.assumptionWeight ? ratio(rows) : nil
    }

    package init() {}

    /// The most rows of the next step: twice as many as were ever timed, so that an assumption that is wrong costs little.
    var limit: Int { min(2 * mostKnown, Self.mostRows) }

    /// Learns from a step of `rows` rows, which took `seconds`. A step that is plain, without drafts, tells what one row takes.
    package mutating func learn(rows: Int, isPlain: Bool, seconds: Double) {
        guard (1...Self.mostRows).contains(rows), seconds > 0 else { return }
        if isPlain {
            let sample = seconds / ratio(rows)
            let old = unit ?? sample
            // A step that was interrupted counts as twice the usual at most. Without steps of one row, half of a deviation is theirs.
            unit = old + (rows == 1 ? 0.2 : 0.1) * (min(sample, 2 * old) - old)
            forget()
        }
        guard let unit, rows > 1 else { return }
        mostKnown = max(mostKnown, rows)
        let ratio = min(seconds / unit, 2 * ratio(rows) + 1)
        let index = rows - 1
        weights[index] = min(weights[index] + 1, Self.mostWeight)
        measured[index] += ((ratio - 1) / Self.assumedExcess(rows) - measured[index]) / min(weights[index], 8)
        updateRatios()
    }

    /// Lets timings count less with each plain step.
    private mutating func forget() {
        for index in weights.indices { weights[index] *= 0.999 }
        plainSteps += 1
        if plainSteps.isMultiple(of: 64) { updateRatios() }
    }

    /// Numbers of rows that were hardly timed are estimated from their neighbours.
    private mutating func updateRatios() {
        for rows in 2...Self.mostRows {
            var (sum, weight) = (Self.assumptionWeight, Self.assumptionWeight)
            for other in 2...Self.mostRows where weights[other - 1] > 0 {
                let closeness = weights[other - 1] / Double(1 << min(60, 3 * abs(other - rows)))
                sum += closeness * measured[other - 1]
                weight += closeness
            }
            ratios[rows - 1] = max(1, 1 + Self.assumedExcess(rows) * sum / weight)
        }
    }
}
