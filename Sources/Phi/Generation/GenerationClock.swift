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
            prefill: ((read ?? now) - start).seconds, decode: (now - (firstToken ?? now)).seconds,
            firstToken: firstToken.map { ($0 - start).seconds })
    }
}

extension Duration {
    /// In seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
