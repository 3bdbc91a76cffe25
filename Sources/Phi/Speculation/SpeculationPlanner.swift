import PhiSystem

/// An engine's choice of how much to draft, by what its steps take and by what was accepted lately.
///
/// A step of n rows takes longer than one of a single row, by a ratio that ``StepCosts`` knows; drafted tokens are accepted with
/// probabilities that ``AcceptanceRates`` knows. The length of a draft is the one with most tokens for the time. If there is none
/// that gains, nothing is drafted.
///
/// Estimates may be wrong, so there is an account, in tokens of plain decoding: a step with drafts pays its time and earns its
/// tokens, each plain step earns a hundredth, and there is no draft when the account is empty. Hence a text cannot lose much
/// more than a hundredth, whatever it is. What a draft model takes to read a sequence once is not in the account; it is limited to a
/// quarter of what the tokens to come take, as soon as one reading has shown its rate.
package final class SpeculationPlanner {
    /// Where drafts come from.
    let speculation: Speculation
    /// The draft model's threads and buffers.
    let draftEngine: Engine?
    /// Tokens drafted and accepted so far.
    package private(set) var counts = DraftCounts()
    /// Seconds by a clock that never goes back.
    package var clock: () -> Double = monotonicSeconds

    package private(set) var costs = StepCosts()
    private var rates = AcceptanceRates(memory: 0.995)
    /// The account.
    package private(set) var balance = 1.0
    /// Steps with drafts since the last plain one.
    private var stepsSincePlain = 0
    /// Sequences that decoded in the last step.
    private var sequences = 1

    /// Seconds that the draft model takes for a token.
    private var modelSeconds: Double?
    /// How often the draft model's tokens were accepted lately.
    private var modelRate = SpeculationPlanner.assumedModelRate
    private static let assumedModelRate = 0.7
    /// Seconds of this step in which the draft model read what it lacked of a sequence.
    private var prefillSeconds = 0.0
    /// Seconds that the draft model takes to read a token of a sequence.
    private var modelReadSeconds: Double?
    /// The most of the time of the tokens to come that the draft model may take to read a sequence.
    private static let mostReading = 0.25

    /// The most that the account holds, so that it soon notices when a text changes.
    private static let mostBalance = 4.0
    /// Most steps with drafts in a row: then one without shows what that takes now.
    private static let mostStepsWithDrafts = 64
    /// A draft must gain this much by the estimates.
    private static let least = 1.04

    package init(_ speculation: Speculation, draftEngine: Engine? = nil) {
        self.speculation = speculation
        self.draftEngine = draftEngine
    }

    /// Whether anything is ever drafted.
    var isOn: Bool { speculation.policy != .off }

    /// Whether this step, which has `rows` rows without drafts, may have some.
    package func mayDraft(rows: Int) -> Bool {
        guard rows < StepCosts.mostRows, isOn else { return false }
        if case .fixed = speculation.policy { return true }
        return costs.unit != nil && balance > 0 && stepsSincePlain < Self.mostStepsWithDrafts
    }

    // MARK: Lengths

    /// Returns the lengths of drafts that give most tokens for the time. `expected` are the drafts of the sequences that
    /// decode in this step, one row each without drafts: by token, the probability that it is accepted and with it all before.
    package func lengths(_ expected: [[Double]]) -> [Int] {
        if case .fixed(let length) = speculation.policy { return expected.map { min(length, $0.count) } }
        var lengths = [Int](repeating: 0, count: expected.count)
        var best = (lengths: lengths, rate: Self.least * rate(tokens: Double(expected.count), rows: expected.count))
        var tokens = Double(expected.count)
        // The most probable token first; each is at most as probable as the one before it in its draft.
        for rows in expected.count + 1..<max(expected.count, costs.limit) + 1 {
            var next: (sequence: Int, probability: Double)?
            for (sequence, draft) in expected.enumerated() where lengths[sequence] < draft.count {
                let probability = draft[lengths[sequence]]
                if probability > next?.probability ?? 0 { next = (sequence, probability) }
            }
            guard let next else { break }
            lengths[next.sequence] += 1
            tokens += next.probability
            let rate = rate(tokens: tokens, rows: rows)
            if rate > best.rate { best = (lengths, rate) }
        }
        return best.lengths
    }

    private func rate(tokens: Double, rows: Int) -> Double { tokens / costs.ratio(rows) }

    // MARK: What is known

    /// The rate at which tokens of a bucket are accepted in all sequences.
    func rate(_ bucket: Int) -> Double { rates.rate(bucket, prior: DraftEvidence.assumed[bucket]) }

    func learn(_ bucket: Int, isAccepted: Bool) { rates.learn(bucket, isAccepted: isAccepted) }

    /// Notes a step of `sequences` rows and `drafted` more, which ends now: drafts were made from `start` to `middle`.
    func learn(sequences: Int, drafted: Int, start: Double, middle: Double) {
        guard isOn else { return }
        let end = clock()
        learn(rows: sequences + drafted, isPlain: drafted == 0, seconds: end - middle)
        learn(sequences: sequences, drafted: drafted, seconds: end - start)
    }

    /// Notes a step that took `seconds` for `sequences` rows and `drafted` more.
    package func learn(sequences: Int, drafted: Int, seconds: Double) {
        self.sequences = sequences
        counts.drafted += drafted
        let seconds = seconds - prefillSeconds
        prefillSeconds = 0
        if drafted == 0 {
            stepsSincePlain = 0
            modelRate += 0.002 * (Self.assumedModelRate - modelRate)
            earn(0.01)
        } else {
            stepsSincePlain += 1
            // A step that was interrupted does not empty the account.
            if let unit = costs.unit {
                let (plain, usual) = (costs.ratio(sequences), costs.ratio(sequences + drafted))
                balance -= min(seconds / unit, 2 * usual) / plain - 1
            }
        }
    }

    /// Notes the time of a step's rows alone, without that of making drafts.
    package func learn(rows: Int, isPlain: Bool, seconds: Double) {
        costs.learn(rows: rows, isPlain: isPlain, seconds: seconds)
    }

    /// Notes that a drafted token of the last step was accepted.
    package func accept() {
        counts.accepted += 1
        earn(1 / Double(sequences))
    }

    private func earn(_ tokens: Double) { balance = min(balance + tokens, Self.mostBalance) }

    // MARK: The draft model

    /// Whether the draft model is likely to give more tokens for the time than a draft with the probabilities `expected`.
    func prefersModel(to expected: [Double], limit: Int, rows: Int) -> Bool {
        if case .fixed = speculation.policy { return true }
        guard let unit = costs.unit else { return false }
        let step = (modelSeconds ?? 0.1 * unit) / unit
        var best = rate(tokens: 1, rows: rows)
        var tokens = 1.0
        for (place, probability) in expected.enumerated() {
            tokens += probability
            best = max(best, rate(tokens: tokens, rows: rows + place + 1))
        }
        var (sum, probability) = (1.0, 1.0)
        for count in 1...max(1, limit) {
            probability *= modelRate
            sum += probability
            if sum / (costs.ratio(rows + count) + step * Double(count)) > Self.least * best { return true }
        }
        return false
    }

    /// Whether one more token of the draft model is worth its time and that of the row `rows`, if it is accepted with this
    /// probability.
    func pays(_ probability: Double, rows: Int) -> Bool {
        if case .fixed = speculation.policy { return true }
        guard let unit = costs.unit else { return false }
        let cost = costs.ratio(rows) - costs.ratio(rows - 1) + (modelSeconds ?? 0) / unit
        return probability > cost / costs.ratio(1)
    }

    /// Times `body`, which returns the number of tokens that the draft model computes in it.
    package func timeModel(_ body: () -> Int) {
        let start = clock()
        let tokens = body()
        let seconds = clock() - start
        switch tokens {
        case 0: break
        case ...4: modelSeconds = modelSeconds.map { $0 + 0.2 * (min(seconds, 2 * $0) - $0) } ?? seconds
        default:
            prefillSeconds += seconds
            modelReadSeconds = seconds / Double(tokens)
        }
    }

    /// Whether the draft model may read a sequence of `count` tokens, to which at most `coming` are appended.
    package func mayRead(_ count: Int, coming: Int) -> Bool {
        if case .fixed = speculation.policy { return true }
        guard let modelReadSeconds, let unit = costs.unit else { return true }
        return Double(count) * modelReadSeconds <= Self.mostReading * Double(coming) * unit
    }

    /// Notes whether a token of the draft model was accepted.
    func learn(modelIsAccepted isAccepted: Bool) { modelRate += 0.05 * ((isAccepted ? 1 : 0) - modelRate) }
}

/// Seconds by the system's monotonic clock. `ContinuousClock` would take a tenth of a microsecond more, several times a token.
private func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}
