/// When things happened in a completion, by the monotonic clock.
struct GenerationClock {
    private let start = ContinuousClock.now
    private var read: ContinuousClock.Instant?
    private var firstToken: ContinuousClock.Instant?

    mutating func promptIsRead() { read = .now }

    mutating func tokenIsChosen() { if firstToken == nil { firstToken = .now } }

    /// The durations up to now.
    func timings() -> Completion.Timings {
        let now = ContinuousClock.now
        return Completion.Timings(
            prefill: seconds(start, read ?? now), decode: seconds(firstToken ?? now, now),
            firstToken: firstToken.map { seconds(start, $0) })
    }

    private func seconds(_ from: ContinuousClock.Instant, _ to: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = (to - from).components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
