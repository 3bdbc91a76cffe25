/// Where a drafted token comes from, and how much there is to be said for it.
///
/// A drafted token behind others of its draft counts as one behind a match that includes them.
enum DraftEvidence: Equatable {
    /// The sequence itself: this many tokens before it occurred earlier, followed by the drafted one.
    case sequence(match: Int)
    /// The corpus: this many tokens before it occur there, and it follows in this share of the occurrences.
    case corpus(match: Int, share: Double)
    /// The draft model, which gives it this probability.
    case model(probability: Double)

    /// Number of buckets.
    static let buckets = 10 + 4 * 4 + 8

    /// The bucket whose tokens are accepted about as often.
    var bucket: Int {
        switch self {
        case .sequence(let match):
            match <= 4
                ? max(0, match - 1)
                : match <= 6 ? 4 : match <= 8 ? 5 : match <= 12 ? 6 : match <= 16 ? 7 : match <= 32 ? 8 : 9
        case .corpus(let match, let share):
            10 + 4 * (match <= 1 ? 0 : match <= 3 ? 1 : match <= 7 ? 2 : 3)
                + (share < 0.25 ? 0 : share < 0.5 ? 1 : share < 0.8 ? 2 : 3)
        case .model(let probability): 26 + min(7, max(0, Int(8 * probability)))
        }
    }

    /// The rates that are assumed first, by bucket.
    static let assumed: [Double] =
        [0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9]
        + [0.1, 0.25, 0.4, 0.6, 0.1, 0.3, 0.5, 0.7, 0.15, 0.35, 0.6, 0.75, 0.2, 0.4, 0.65, 0.8]
        + [0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.75, 0.9]
}

/// How often drafted tokens were accepted lately, by evidence.
struct AcceptanceRates {
    private var accepted = [Double](repeating: 0, count: DraftEvidence.buckets)
    private var drafted = [Double](repeating: 0, count: DraftEvidence.buckets)
    /// What an observation keeps of its weight with each further one of its bucket.
    private let memory: Double
    /// The number of observations that the prior rate counts as.
    private static let priorWeight = 4.0

    init(memory: Double) { self.memory = memory }

    /// Returns the rate of a bucket, of which `prior` is known otherwise.
    func rate(_ bucket: Int, prior: Double) -> Double {
        (accepted[bucket] + Self.priorWeight * prior) / (drafted[bucket] + Self.priorWeight)
    }

    /// Notes whether a token of a bucket was the one chosen, or would have been if it had been drafted.
    mutating func learn(_ bucket: Int, isAccepted: Bool) {
        drafted[bucket] = memory * drafted[bucket] + 1
        accepted[bucket] = memory * accepted[bucket] + (isAccepted ? 1 : 0)
    }
}
