/// How many tokens of prompts a step reads, and whose.
package enum SlicePlan {
    /// Shares out `budget` tokens among prompts of which `remaining` tokens are unread, the oldest first; returns how many
    /// each gets in this step.
    ///
    /// The shortest rest comes first, because that text can start soonest; a quarter is the oldest's in any case, so that
    /// none waits forever.
    package static func slices(_ remaining: [Int], budget: Int) -> [Int] {
        var slices = remaining.map { _ in 0 }
        guard let oldest = remaining.firstIndex(where: { $0 > 0 }) else { return slices }
        slices[oldest] = min(remaining[oldest], max(1, budget / 4))
        var left = budget - slices[oldest]
        for index in remaining.indices.sorted(by: { (remaining[$0], $0) < (remaining[$1], $1) }) where left > 0 {
            let more = min(remaining[index] - slices[index], left)
            slices[index] += more
            left -= more
        }
        return slices
    }
}

/// The number of prompt tokens that a step can read without taking too long, learnt from steps so far. It decides when
/// something is computed, never what.
package struct PrefillBudget {
    /// Seconds that a step may take where as many texts are being streamed as wait for their first token, and at most.
    static let (beside, most) = (0.12, 0.4)
    /// Fewer would waste the weights that a step reads; more are not taken at once by the engine.
    package static let range = 16...192
    private var secondsPerToken: Double?

    package init() {}

    /// Tokens for the next step, in which `reading` texts want their prompts read beside `making` that are being streamed. The more wait
    /// for their first token and the fewer for their next, the longer a step may take.
    package func tokens(reading: Int, making: Int) -> Int {
        guard let secondsPerToken else { return Self.range.lowerBound }
        let share = making == 0 ? .infinity : max(1, Double(reading) / Double(making))
        let tokens = min(Self.beside * share, Self.most) / secondsPerToken
        return min(max(Int(min(tokens, 1e6)), Self.range.lowerBound), Self.range.upperBound)
    }

    /// Learns from a step of `tokens` tokens.
    package mutating func learn(tokens: Int, seconds: Double) {
        guard tokens >= Self.range.lowerBound, seconds > 0 else { return }
        let new = seconds / Double(tokens)
        secondsPerToken = secondsPerToken.map { 0.7 * $0 + 0.3 * new } ?? new
    }
}
