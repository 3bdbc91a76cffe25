import PhiTokenizer

extension Engine {
    /// The tokens that its sessions drafted so far, and how many of them were accepted.
    public var draftCounts: DraftCounts { planner.counts }

    /// What steps of 1, 2, ... rows take by its measurements and, before those, assumptions, over a step of one row.
    package var stepCosts: [Double] { (1...StepCosts.mostRows).map(planner.costs.ratio) }

    /// Appends in one step tokens of prompts, `work`, and to the sessions of `decoders`, which must be others, the token that each
    /// chose last, with a draft if that pays: a step with tokens of prompts has none. Afterwards each session has logits.
    package func append(
        _ work: [(session: Session, tokens: [TokenID])] = [], decoding decoders: [SequenceDecoder]
    ) throws(SessionError) {
        let start = planner.clock()
        let mayDraft = work.isEmpty && planner.mayDraft(rows: decoders.count)
        if mayDraft {
            for decoder in decoders { decoder.draft(rows: decoders.count) }
            let lengths = planner.lengths(decoders.map(\.expected))
            for (decoder, length) in zip(decoders, lengths) { decoder.truncateDraft(to: length) }
        }
        let middle = planner.clock()
        let steps = decoders.map { $0.nextTokens(isDrafting: mayDraft) }
        if work.isEmpty, let decoder = decoders.first, decoders.count == 1 {
            try decoder.session.append(steps[0].tokens, drafted: steps[0].drafted)
        } else {
            try append(
                work.map { (session: $0.session, tokens: $0.tokens, drafted: 0) }
                    + zip(decoders, steps).map { (session: $0.session, tokens: $1.tokens, drafted: $1.drafted) })
        }
        guard planner.isOn, work.isEmpty, !decoders.isEmpty else { return }
        let end = planner.clock()
        let drafted = steps.reduce(0) { $0 + $1.drafted }
        planner.learn(rows: decoders.count + drafted, isPlain: drafted == 0, seconds: end - middle)
        planner.learn(sequences: decoders.count, drafted: drafted, seconds: end - start)
    }
}
