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
    /// Acceptable seconds of a step's prefill when as many sequences prefill as decode, and the most in any case.
    static let (balanced, most) = (0.2, 0.4)
    /// Acceptable time of a step's prefill over that of its decoding, as long as the step takes at most ``most``: a long prompt then
    /// takes less than half as long again as by itself, although the short ones of other sequences come first.
    private static let perDecoding = 3.0
    /// Fewer tokens would waste the weights that a step reads. More would not fit one batch of the engine beside a token of
    /// each decoding sequence, and the step would read the weights twice.
    package static let range = 16...Engine.batchTokens - Engine.sessionsAtOnce
    private var secondsPerToken: Double?
    /// The seconds of steps without prefill, by the number of their sequences.
    private var decodeSeconds: [Int: Double] = [:]

    package init() {}

    /// The budget of a step in which `prefilling` sequences prefill and `decoding` decode: the more of the former wait for each
    /// of the latter, and the longer these take, the longer the step may take.
    package func tokens(prefilling: Int, decoding: Int) -> Int {
        guard let secondsPerToken else { return Self.range.lowerBound }
        let share = decoding == 0 ? .infinity : max(1, Double(prefilling) / Double(decoding))
        let nearest = decodeSeconds.min { abs($0.key - decoding) < abs($1.key - decoding) }?.value ?? 0
        let besideDecoding = min(Self.perDecoding * nearest, Self.most - nearest)
        let tokens = min(max(Self.balanced * share, besideDecoding), Self.most) / secondsPerToken
        return min(max(Int(bounded: tokens), Self.range.lowerBound), Self.range.upperBound)
    }

    /// Updates the estimate by a step that computed `tokens` tokens.
    package mutating func learn(tokens: Int, seconds: Double) {
        guard tokens >= Self.range.lowerBound, seconds > 0 else { return }
        secondsPerToken = Self.mean(secondsPerToken, seconds / Double(tokens))
    }

    /// Updates the estimate by a step in which `decoding` sequences decoded, without drafts, and none was prefilled.
    package mutating func learn(decoding: Int, seconds: Double) {
        guard seconds > 0 else { return }
        decodeSeconds[decoding] = Self.mean(decodeSeconds[decoding], seconds)
    }

    private static func mean(_ old: Double?, _ new: Double) -> Double { old.map { 0.7 * $0 + 0.3 * new } ?? new }
}
