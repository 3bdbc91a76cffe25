/// The start, the end of prefill and the first token of a completion, by the monotonic clock.
struct GenerationClock {
    private let start = ContinuousClock.now
    private var endOfPrefill: ContinuousClock.Instant?
    private var firstToken: ContinuousClock.Instant?

    mutating func markEndOfPrefill() { endOfPrefill = .now }

    mutating func markToken() { if firstToken == nil { firstToken = .now } }

    /// Returns the durations up to now.
    func timings() -> Completion.Timings {
        let now = ContinuousClock.now
        return Completion.Timings(
            prefill: ((endOfPrefill ?? now) - start).seconds, decode: (now - (firstToken ?? now)).seconds,
            firstToken: firstToken.map { ($0 - start).seconds })
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
