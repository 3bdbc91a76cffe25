import PhiTokenizer

/// The drafts of one sequence: tokens that are likely to follow it, by what followed the longest match in the sequence itself or
/// in the corpus, or by the draft model.
///
/// Every token that is chosen is compared with what would have been drafted, drafted or not, so acceptance rates cost nothing to
/// know.
struct SequenceDrafter {
    /// The draft.
    private(set) var tokens: [TokenID] = []
    /// By token of the draft: the probability that it is accepted, and with it all before.
    private(set) var expected: [Double] = []

    private let planner: SpeculationPlanner
    private let vocabulary: Int
    /// Tokens that the sequence may have in the end.
    private let capacity: Int
    /// Tokens that end texts: nothing is drafted from there on.
    private let ends: [TokenID]
    private var automaton: SuffixAutomaton
    private var corpusMatch = DraftCorpus.Match()
    private var modelDraft: ModelDraft?
    private var rates = AcceptanceRates(memory: 0.9)

    /// Creates the drafter of a sequence that begins with `prompt` and may become `capacity` tokens long.
    init(_ planner: SpeculationPlanner, _ model: LanguageModel, _ prompt: [TokenID], capacity: Int) {
        self.planner = planner
        vocabulary = model.config.vocabulary
        self.capacity = capacity
        ends = model.textBounds.ends
        automaton = SuffixAutomaton(capacity: capacity)
        tokens.reserveCapacity(Speculation.mostDrafted)
        expected.reserveCapacity(Speculation.mostDrafted)
        for token in prompt { append(token) }
    }

    /// Appends a chosen token to the sequence.
    mutating func observe(_ token: TokenID) {
        if automaton.match.length > 0 {
            let evidence = DraftEvidence.sequence(match: automaton.match.length)
            learn(evidence.bucket, isAccepted: automaton.tokens[automaton.match.next] == token)
        }
        if let next = planner.speculation.corpus?.likeliest(after: corpusMatch), corpusMatch.length > 0 {
            let evidence = DraftEvidence.corpus(match: corpusMatch.length, share: next.share)
            learn(evidence.bucket, isAccepted: next.token == token)
        }
        if let evidence = modelDraft?.evidence {
            let isAccepted = modelDraft?.advance(by: token) ?? false
            learn(evidence.bucket, isAccepted: isAccepted)
            planner.learn(modelIsAccepted: isAccepted)
        }
        append(token)
    }

    private mutating func append(_ token: TokenID) {
        automaton.append(token)
        planner.speculation.corpus?.advance(&corpusMatch, by: token)
    }

    private mutating func learn(_ bucket: Int, isAccepted: Bool) {
        rates.learn(bucket, isAccepted: isAccepted)
        planner.learn(bucket, isAccepted: isAccepted)
    }

    /// Drafts up to `limit` tokens for a step that has `rows` rows without drafts.
    mutating func draft(limit: Int, rows: Int) {
        truncate(to: 0)
        guard limit > 0 else { return }
        if let source = planner.speculation.source {
            for token in source(automaton.tokens).prefix(limit) where isUsable(token) { add(token, rate: 1) }
            return
        }
        if let corpus = planner.speculation.corpus, corpusMatch.length > automaton.match.length {
            draft(from: corpus, limit: limit)
        } else if automaton.match.length > 0 {
            draftFromSequence(limit: limit)
        }
        guard let draftEngine = planner.draftEngine, planner.prefersModel(to: expected, limit: limit, rows: rows) else {
            return
        }
        if modelDraft == nil {
            let count = automaton.tokens.count
            guard planner.mayRead(count, coming: capacity - count) else { return }
            modelDraft = try? ModelDraft(draftEngine)
        }
        draftFromModel(limit: limit, rows: rows)
    }

    /// Removes the draft's tokens from `count` on.
    mutating func truncate(to count: Int) {
        guard count < tokens.count else { return }
        tokens.removeLast(tokens.count - count)
        expected.removeLast(expected.count - count)
    }

    private mutating func draftFromSequence(limit: Int) {
        var (length, next) = (automaton.match.length, automaton.match.next)
        let count = automaton.tokens.count
        while tokens.count < limit {
            // Behind the sequence's end its draft follows: a sequence that repeats itself goes on so.
            let token = next < count ? automaton.tokens[next] : tokens[next - count]
            guard add(token, .sequence(match: length)) else { return }
            (length, next) = (length + 1, next + 1)
        }
    }

    private mutating func draft(from corpus: DraftCorpus, limit: Int) {
        var match = corpusMatch
        while tokens.count < limit, let next = corpus.likeliest(after: match) {
            guard add(next.token, .corpus(match: match.length, share: next.share)) else { return }
            match = next.match
        }
    }

    private mutating func draftFromModel(limit: Int, rows: Int) {
        guard var draft = modelDraft else { return }
        modelDraft = nil  // moved, not copied
        truncate(to: 0)
        planner.timeModel { draft.begin(after: automaton.tokens) }
        while tokens.count < limit, let next = draft.next, isUsable(next.token) {
            let rate = rate(DraftEvidence.model(probability: next.probability).bucket)
            guard planner.pays((expected.last ?? 1) * rate, rows: rows + tokens.count + 1) else { break }
            add(next.token, rate: rate)
            planner.timeModel {
                draft.take(isMore: tokens.count < limit)
                return 1
            }
        }
        modelDraft = draft
    }

    /// Adds a token to the draft unless it cannot be drafted or is too unlikely; returns whether it did.
    private mutating func add(_ token: TokenID, _ evidence: DraftEvidence) -> Bool {
        let rate = rate(evidence.bucket)
        guard isUsable(token), (expected.last ?? 1) * rate > 0.05 else { return false }
        add(token, rate: rate)
        return true
    }

    private mutating func add(_ token: TokenID, rate: Double) {
        expected.append((expected.last ?? 1) * rate)
        tokens.append(token)
    }

    private func rate(_ bucket: Int) -> Double { rates.rate(bucket, prior: planner.rate(bucket)) }

    private func isUsable(_ token: TokenID) -> Bool {
        token >= 0 && Int(token) < vocabulary && !ends.contains(token)
    }
}
