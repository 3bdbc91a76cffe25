import PhiTokenizer

extension Engine {
    /// The tokens that its sessions drafted so far, and how many of them were accepted.
    public var draftCounts: DraftCounts { planner.counts }

    /// What steps of 1, 2, ... rows take by its measurements, over a step of one row; nil for numbers of rows that were not timed.
    package var stepCosts: [Double?] { (1...StepCosts.mostRows).map(planner.costs.measuredRatio) }

    /// Appends in one step tokens of prompts, `work`, and to the sessions of `decoders`, which must be others, the token that each
    /// chose last, with a draft if that pays: a step with tokens of prompts has none. Afterwards each session has logits.
    package func append(
        _ work: [(session: Session, tokens: [TokenID])] = [], decoding decoders: [SequenceDecoder]
    ) throws(SessionError) {
        if work.isEmpty, decoders.count == 1 { return try append(decoding: decoders[0]) }
        let start = planner.clock()
        if work.isEmpty, planner.mayDraft(rows: decoders.count) {
            for decoder in decoders { decoder.draft(rows: decoders.count) }
            let lengths = planner.lengths(decoders.map(\.expected))
            for (decoder, length) in zip(decoders, lengths) { decoder.truncateDraft(to: length) }
        } else {
            for decoder in decoders { decoder.truncateDraft(to: 0) }
        }
        let middle = planner.clock()
        let next = decoders.map { decoder in
            (
                session: decoder.session, tokens: (decoder.next.map { [$0] } ?? []) + decoder.draft,
                drafted: decoder.draft.count
            )
        }
        try append(work.map { (session: $0.session, tokens: $0.tokens, drafted: 0) } + next)
        guard work.isEmpty, !decoders.isEmpty else { return }
        let drafted = next.reduce(0) { $0 + $1.drafted }
        planner.learn(sequences: decoders.count, drafted: drafted, start: start, middle: middle)
    }

    /// Appends to a decoder's session as ``append(_:decoding:)`` does, and allocates nothing where there is no draft.
    package func append(decoding decoder: SequenceDecoder) throws(SessionError) {
        guard let next = decoder.next else { return }
        guard planner.isOn else { return try decoder.session.append(next) }
        let start = planner.clock()
        var middle = start
        var drafted = 0
        if planner.mayDraft(rows: 1) {
            decoder.draft(rows: 1)
            drafted = decoder.expected.isEmpty ? 0 : planner.lengths([decoder.expected])[0]
            if planner.draftEngine != nil { middle = planner.clock() }
        }
        decoder.truncateDraft(to: drafted)
        if drafted == 0 {
            try decoder.session.append(next)
        } else {
            try decoder.session.append([next] + decoder.draft, drafted: drafted)
        }
        planner.learn(sequences: 1, drafted: drafted, start: start, middle: middle)
    }
}
