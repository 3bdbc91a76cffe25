import Phi
import PhiTokenizer

/// Continuous batching: each step of the engine advances all running sequences by a prefill chunk or a token, with a draft if that
/// pays, and sequences start and end between steps.
///
/// Used by the engine's thread only.
final class ContinuousBatcher {
    private let engine: Engine
    private let slots: Int
    private let cacheEncoding: CacheEncoding?
    private let queue: RequestQueue
    private let metrics: ServerMetrics
    private var waiting: [WaitingSequence] = []
    private var running: [RunningSequence] = []
    private var prefixCache: PrefixCache
    private var budget = PrefillBudget()
    /// Requests that failed in the current step, and why.
    private var failed: [(owner: SubmittedRequest, error: APIError)] = []

    init(
        _ engine: Engine, _ settings: BatchingSettings, _ directory: PrefixDirectory?, _ queue: RequestQueue,
        _ metrics: ServerMetrics
    ) {
        self.engine = engine
        slots = settings.slots
        cacheEncoding = settings.cacheEncoding
        prefixCache = PrefixCache(limit: settings.prefixCacheBytes, directory: directory)
        self.queue = queue
        self.metrics = metrics
    }

    /// Runs until the queue is closed and all its requests have ended, which they have by the deadline of the shutdown.
    func run() {
        while true {
            let (new, shutdownDeadline) = queue.next(isIdle: waiting.isEmpty && running.isEmpty)
            for request in new {
                waiting += (0..<request.request.sequenceCount).map { WaitingSequence(owner: request, number: $0) }
            }
            dropOverdue(shutdownDeadline: shutdownDeadline)
            if shutdownDeadline != nil, waiting.isEmpty, running.isEmpty { return prefixCache.saveAll() }
            fillSlots()
            // For its limit, the health check and /slots, until `next`.
            queue.stepBegins(waiting: waiting.count, running: running.count)
            step()
            removeFinished()
            prefixCache.saveNext()
            metrics.waiting.set(waiting.count)
            metrics.running.set(running.count)
            metrics.cacheBytes.set(prefixCache.bytes)
            metrics.cachedSequences.set(prefixCache.count)
            metrics.directoryBytes.set(prefixCache.directory?.bytes ?? 0)
        }
    }

    /// Drops the requests that are cancelled, or past their deadline or that of the shutdown.
    private func dropOverdue(shutdownDeadline: ContinuousClock.Instant?) {
        let now = ContinuousClock.now
        func isOver(_ owner: SubmittedRequest) -> Bool {
            owner.isCancelled || now >= owner.deadline || shutdownDeadline.map { now >= $0 } ?? false
        }
        while let owner = waiting.first(where: { isOver($0.owner) })?.owner
            ?? running.first(where: { isOver($0.owner) })?.owner
        {
            drop(owner)
            if owner.isCancelled {
                metrics.cancelled.increment()
                owner.finish()
            } else if now >= owner.deadline {
                metrics.timedOut.increment()
                owner.fail(.timedOut)
            } else {
                owner.fail(.shuttingDown)
            }
        }
    }

    /// Removes a request's sequences, before its client learns of it. Their tokens may serve as prefixes of others.
    private func drop(_ owner: SubmittedRequest) {
        waiting.removeAll { $0.owner === owner }
        for sequence in running where sequence.owner === owner {
            countPrompt(of: sequence)
            prefixCache.insert(sequence.session, of: owner.scope)
        }
        running.removeAll { $0.owner === owner }
        queue.sequencesEnded(waiting: waiting.count, running: running.count)
    }

    // MARK: Start of sequences

    /// Gives free slots to waiting sequences: to the request with the fewest running sequences first, among equals to the oldest.
    private func fillSlots() {
        while running.count < slots, let index = nextToStart() {
            let sequence = waiting.remove(at: index)
            do throws(SessionError) {
                running.append(try start(sequence))
                metrics.inQueue.record(duration: .now - sequence.owner.arrival)
            } catch {
                drop(sequence.owner)
                sequence.owner.fail(.cannotCompute(error))
            }
        }
    }

    private func nextToStart() -> Int? {
        var counts: [ObjectIdentifier: Int] = [:]
        for sequence in running { counts[ObjectIdentifier(sequence.owner), default: 0] += 1 }
        var best: (index: Int, count: Int)?
        for (index, sequence) in waiting.enumerated() where !waitsForItsPrompt(sequence) {
            let count = counts[ObjectIdentifier(sequence.owner)] ?? 0
            if count < best?.count ?? .max { best = (index, count) }
            if count == 0 { break }
        }
        return best?.index
    }

    /// Whether another sequence of the request is prefilling the same prompt, which is computed once and then copied.
    private func waitsForItsPrompt(_ sequence: WaitingSequence) -> Bool {
        running.contains { Self.sharePrompt($0, sequence) && $0.remainingPrefill > 0 }
    }

    private static func sharePrompt(_ running: RunningSequence, _ waiting: WaitingSequence) -> Bool {
        running.owner === waiting.owner && running.promptNumber == waiting.promptNumber
    }

    private func start(_ sequence: WaitingSequence) throws(SessionError) -> RunningSequence {
        // Scores need the logits of all the prompt's tokens, so no prefix is reused for them.
        let isScored = sequence.owner.request.scoresPrompts && sequence.promptScores == nil
        func new() throws(SessionError) -> Session { try Session(engine, cache: cacheEncoding) }
        let sessions = running.map { (session: $0.session, scope: $0.owner.scope) }
        if !isScored,
            let known = try prefixCache.session(
                for: sequence.prompt, of: sequence.owner.scope, running: sessions, make: new)
        {
            return RunningSequence(sequence, known)
        }
        return RunningSequence(sequence, try new())
    }

    // MARK: A step

    /// Appends the next tokens of all running sequences in one pass of the engine, then chooses a token for each that decodes.
    /// Sequences that score their prompts run by themselves.
    private func step() {
        guard !running.isEmpty else { return }
        let start = ContinuousClock.now
        let decoding = running.count { $0.remainingPrefill == 0 }
        let chunks = PrefillPlan.chunks(
            running.map(\.remainingPrefill),
            budget: budget.tokens(prefilling: running.count - decoding, decoding: decoding))
        let before = running.map { (time: $0.lastTokenTime, tokens: $0.completionTokens) }
        let drafts = engine.draftCounts
        var tokens = 0
        var batch: [RunningSequence] = []
        var work: [(session: Session, tokens: [TokenID])] = []
        for (sequence, chunk) in zip(running, chunks) {
            if sequence.isScoring {
                if chunk > 0 { score(sequence, chunk) }
                tokens += chunk
            } else if chunk > 0 {
                batch.append(sequence)
                work.append((sequence.session, Array(sequence.prefillChunk(chunk))))
                tokens += chunk
            } else if sequence.decoder.next != nil {
                batch.append(sequence)
                tokens += 1
            }
        }
        do throws(SessionError) {
            if !batch.isEmpty {
                let decoding = batch.filter { $0.remainingPrefill == 0 }
                try engine.append(work, decoding: decoding.map(\.decoder))
            }
        } catch {
            // Unreachable, as tokens that do not fit are not appended; but if it happened, clients must not wait for ever.
            for sequence in batch { fail(sequence, error) }
            batch = []
        }
        for sequence in batch {
            do throws(SessionError) {
                try sequence.chooseTokens()
            } catch {
                fail(sequence, error)
            }
        }
        let duration = ContinuousClock.now - start
        // Steps with drafts have fewer tokens without them than it learns from.
        budget.learn(tokens: tokens, seconds: duration.seconds)
        let drafted = engine.draftCounts.drafted - drafts.drafted
        if drafted == 0, decoding > 0, decoding == tokens {
            budget.learn(decoding: decoding, seconds: duration.seconds)
        }
        metrics.steps.increment()
        metrics.step.record(duration: duration)
        metrics.stepTokens.record(tokens + drafted)
        metrics.draftedTokens.increment(by: drafted)
        metrics.acceptedTokens.increment(by: engine.draftCounts.accepted - drafts.accepted)
        for (sequence, before) in zip(running, before) {
            let new = sequence.completionTokens - before.tokens
            guard new > 0, let time = sequence.lastTokenTime else { continue }
            metrics.completionTokens.increment(by: new)
            guard let start = before.time else {
                metrics.firstToken.record(duration: time - sequence.owner.arrival)
                continue
            }
            // The tokens of a step come together; each counts with its share of the time.
            for _ in 0..<new { metrics.betweenTokens.record(duration: (time - start) / new) }
        }
    }

    private func score(_ sequence: RunningSequence, _ chunk: Int) {
        do throws(SessionError) {
            try sequence.scorePrompt(chunk: chunk)
        } catch {
            return fail(sequence, error)
        }
        guard let scores = sequence.promptScores else { return }
        for index in waiting.indices where Self.sharePrompt(sequence, waiting[index]) {
            waiting[index].promptScores = scores
        }
    }

    private func fail(_ sequence: RunningSequence, _ error: SessionError) {
        failed.append((sequence.owner, .cannotCompute(error)))
    }

    // MARK: End of sequences

    /// Counts the prompt of a sequence that leaves, as far as it was computed.
    private func countPrompt(of sequence: RunningSequence) {
        metrics.promptTokens.increment(by: min(sequence.prompt.count, sequence.session.tokens.count))
        metrics.reusedTokens.increment(by: sequence.reusedTokens)
    }

    private func removeFinished() {
        for (owner, _) in failed { drop(owner) }
        let finished = running.filter { $0.stopReason != nil }
        running.removeAll { $0.stopReason != nil }
        queue.sequencesEnded(waiting: waiting.count, running: running.count)
        for (owner, error) in failed { owner.fail(error) }
        failed.removeAll()
        for sequence in finished {
            prefixCache.insert(sequence.session, of: sequence.owner.scope)
            queue.slotIsFree(after: (ContinuousClock.now - sequence.start).seconds)
            countPrompt(of: sequence)
            let owner = sequence.owner
            let isLast = !running.contains { $0.owner === owner } && !waiting.contains { $0.owner === owner }
            if isLast { owner.finish() }
        }
    }
}
