import Phi

/// The division of a step's prefill tokens among prompts.
package enum PrefillPlan {
    /// Returns the size of each prompt's chunk in this step, given the tokens that each still has to prefill, oldest prompt
    /// first, and the `budget` of all chunks together.
    ///
    /// The prompt with the fewest remaining tokens is served first, because its sequence can start to decode soonest; a quarter
    /// of the budget always goes to the oldest prompt, so that none starves.
    package static func chunks(_ remaining: [Int], budget: Int) -> [Int] {
        var chunks = remaining.map { _ in 0 }
        guard let oldest = remaining.firstIndex(where: { $0 > 0 }) else { return chunks }
        chunks[oldest] = min(remaining[oldest], max(1, budget / 4))
        var left = budget - chunks[oldest]
        for index in remaining.indices.sorted(by: { (remaining[$0], $0) < (remaining[$1], $1) }) where left > 0 {
            let more = min(remaining[index] - chunks[index], left)
            chunks[index] += more
            left -= more
        }
        return chunks
    }
}

/// The number of prompt tokens that a step can prefill in acceptable time, estimated from previous steps. It affects when
/// tokens are computed, never the results.
package struct PrefillBudget {
    /// Acceptable seconds of a step when as many sequences prefill as decode, and the most in any case.
    static let (balanced, most) = (0.12, 0.4)
    /// Fewer tokens would waste the weights that a step reads. More would not fit one batch of the engine beside a token of
    /// each decoding sequence, and the step would read the weights twice.
    package static let range = 16...Engine.batchTokens - Engine.sessionsAtOnce
    private var secondsPerToken: Double?

    package init() {}

    /// The budget of a step in which `prefilling` sequences prefill and `decoding` decode: the more of the former wait for each
    /// of the latter, the longer the step may take.
    package func tokens(prefilling: Int, decoding: Int) -> Int {
        guard let secondsPerToken else { return Self.range.lowerBound }
        let share = decoding == 0 ? .infinity : max(1, Double(prefilling) / Double(decoding))
        let tokens = min(Self.balanced * share, Self.most) / secondsPerToken
        return min(max(Int(min(tokens, 1e6)), Self.range.lowerBound), Self.range.upperBound)
    }

    /// Updates the estimate by a step that computed `tokens` tokens.
    package mutating func learn(tokens: Int, seconds: Double) {
        guard tokens >= Self.range.lowerBound, seconds > 0 else { return }
        let new = seconds / Double(tokens)
        secondsPerToken = secondsPerToken.map { 0.7 * $0 + 0.3 * new } ?? new
    }
}
