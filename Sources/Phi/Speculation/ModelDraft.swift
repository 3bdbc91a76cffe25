import PhiTokenizer

/// The draft model's continuation of one sequence: its most likely token each time.
struct ModelDraft {
    /// The token to draft next; nil where the session's context ends.
    private(set) var next: Token?

    struct Token {
        let token: TokenID
        /// By the draft model.
        let probability: Double
    }

    private let session: Session
    private var drafted: [Token] = []
    /// Number of drafted tokens that were chosen since.
    private var chosen = 0

    /// Creates a continuation of the empty sequence. Throws ``SessionError`` when memory cannot be allocated.
    init(_ engine: Engine) throws(SessionError) {
        session = try Session(engine)
        drafted.reserveCapacity(Speculation.mostDrafted)
    }

    /// Starts to continue `sequence`, whose common prefix with what the session has is not computed again; returns how many
    /// tokens were.
    mutating func begin(after sequence: [TokenID]) -> Int {
        forget()
        guard sequence.count < session.context else {
            next = nil
            return 0
        }
        let missing = session.rewind(to: sequence)
        append(missing)
        return missing.count
    }

    /// Notes ``next`` as drafted and, if there `isMore` to draft, appends it.
    mutating func take(isMore: Bool) {
        guard let next else { return }
        drafted.append(next)
        if isMore, session.remainingContext > 1 { append([next.token]) } else { self.next = nil }
    }

    private mutating func append(_ tokens: ArraySlice<TokenID>) {
        next = nil
        guard (try? session.append(tokens)) != nil else { return }
        next = session.withLogits { logits in
            let all = LogProbabilities(logits)
            let logProbability = all.of(all.likeliest)
            let probability = DeterministicMath.exp(atMostZero: SIMD8(repeating: min(0, logProbability)))[0]
            return Token(token: all.likeliest, probability: logProbability.isNaN ? 0 : probability)
        }
    }

    /// What is known of the drafted token at the sequence's end; nil if there is none.
    var evidence: DraftEvidence? {
        chosen < drafted.count ? .model(probability: drafted[chosen].probability) : nil
    }

    /// Notes that `token` was chosen; returns whether it is the drafted one, without which the later ones do not count.
    mutating func advance(by token: TokenID) -> Bool {
        guard chosen < drafted.count, drafted[chosen].token == token else {
            forget()
            return false
        }
        chosen += 1
        return true
    }

    private mutating func forget() {
        drafted.removeAll(keepingCapacity: true)
        chosen = 0
    }
}
