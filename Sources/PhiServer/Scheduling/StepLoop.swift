import Phi
import PhiTokenizer

/// What the engine's thread does: step after step, each of which takes all running texts on by a token or a slice of their
/// prompts. Texts join and leave between steps.
final class StepLoop {
    private let engine: Engine
    private let slots: Int
    private let cacheEncoding: CacheEncoding?
    private let inbox: Inbox
    private let metrics: ServerMetrics
    private var waiting: [WaitingText] = []
    private var running: [RunningText] = []
    private var cache: PrefixCache
    private var budget = PrefillBudget()
    /// Scores of prompts that several texts of a request begin with.
    private var promptScores: [PromptID: [ScoredToken]] = [:]

    /// A prompt of a request.
    private struct PromptID: Hashable {
        let job: ObjectIdentifier
        let prompt: Int
    }

    init(_ engine: Engine, _ settings: SchedulerSettings, _ inbox: Inbox, _ metrics: ServerMetrics) {
        self.engine = engine
        slots = settings.slots
        cacheEncoding = settings.cacheEncoding
        cache = PrefixCache(limit: settings.prefixCacheBytes)
        self.inbox = inbox
        self.metrics = metrics
    }

    /// Works until the inbox is closed and all that was in it is done.
    func run() {
        while true {
            let (jobs, closing) = inbox.next(isIdle: waiting.isEmpty && running.isEmpty)
            for job in jobs {
                waiting += (0..<job.textCount).map { WaitingText(job: job, number: $0) }
            }
            dropEnded(closing: closing)
            if closing != nil, waiting.isEmpty, running.isEmpty { return }
            admit()
            inbox.begin(waiting: waiting.count)
            step()
            leave()
            metrics.waiting.set(waiting.count)
            metrics.running.set(running.count)
            metrics.cacheBytes.set(cache.bytes)
            metrics.cachedTexts.set(cache.count)
        }
    }

    /// Lets go of requests that were cancelled or have no time left.
    private func dropEnded(closing: ContinuousClock.Instant?) {
        let now = ContinuousClock.now
        var ended: [ObjectIdentifier: Job] = [:]
        for job in waiting.map(\.job) + running.map(\.job) {
            let isLate = now >= job.deadline
            let isOver = closing.map { now >= $0 } ?? false
            if job.isCancelled || isLate || isOver { ended[ObjectIdentifier(job)] = job }
        }
        for job in ended.values {
            if job.isCancelled {
                metrics.cancelled.increment()
                job.finish()
            } else if now >= job.deadline {
                metrics.timedOut.increment()
                job.fail(.timedOut)
            } else {
                job.fail(.shuttingDown)
            }
            drop(job)
        }
    }

    /// Takes a request out. What was read for it may serve others.
    private func drop(_ job: Job) {
        waiting.removeAll { $0.job === job }
        for text in running where text.job === job { cache.insert(text.session) }
        running.removeAll { $0.job === job }
        forgetScores(of: job)
    }

    private func forgetScores(of job: Job) {
        guard job.scoresPrompts else { return }
        for prompt in job.prompts.indices { promptScores[PromptID(job: ObjectIdentifier(job), prompt: prompt)] = nil }
    }

    // MARK: Joining

    /// Gives free slots to texts, the request with the fewest running texts first, the oldest of equals.
    private func admit() {
        while running.count < slots, let index = nextToAdmit() {
            let text = waiting.remove(at: index)
            do throws(SessionError) {
                running.append(try begin(text))
                metrics.inQueue.record(duration: .now - text.job.arrival)
            } catch {
                text.job.fail(.cannotCompute("\(error)"))
                drop(text.job)
            }
        }
    }

    private func nextToAdmit() -> Int? {
        var counts: [ObjectIdentifier: Int] = [:]
        for text in running { counts[ObjectIdentifier(text.job), default: 0] += 1 }
        var best: (index: Int, count: Int)?
        for (index, text) in waiting.enumerated() where !waitsForItsPrompt(text) {
            let count = counts[ObjectIdentifier(text.job)] ?? 0
            if count < best?.count ?? .max { best = (index, count) }
            if count == 0 { break }
        }
        return best?.index
    }

    /// Whether another text of the request is reading the same prompt: it is read once and then copied.
    private func waitsForItsPrompt(_ text: WaitingText) -> Bool {
        running.contains { $0.job === text.job && $0.promptNumber == text.promptNumber && $0.unread > 0 }
    }

    private func begin(_ text: WaitingText) throws(SessionError) -> RunningText {
        let scores = promptScores[PromptID(job: ObjectIdentifier(text.job), prompt: text.promptNumber)]
        // Scores take the logits of all the prompt's tokens, so there all are computed.
        let isScored = text.job.scoresPrompts && scores == nil
        if !isScored, let known = try cache.session(for: text.prompt, running: running.map(\.session)) {
            return RunningText(text, known, scores: scores)
        }
        return RunningText(text, try Session(engine, cache: cacheEncoding), scores: scores)
    }

    // MARK: A step

    private func step() {
        guard !running.isEmpty else { return }
        let began = ContinuousClock.now
        let making = running.count { $0.unread == 0 }
        let slices = SlicePlan.slices(
            running.map(\.unread), budget: budget.tokens(reading: running.count - making, making: making))
        let before = running.map(\.lastTokenAt)
        var tokens = 0
        var together: [RunningText] = []
        var work: [(session: Session, tokens: [TokenID])] = []
        for (text, slice) in zip(running, slices) {
            if text.isScoring {
                if slice > 0 { score(text, slice) }
                tokens += slice
                continue
            }
            let new = text.work(slice: slice)
            if new.isEmpty { continue }
            together.append(text)
            work.append((text.session, new))
            tokens += new.count
        }
        do throws(SessionError) {
            if !work.isEmpty { try engine.append(work) }
            for text in together { text.choose() }
        } catch {
            // Cannot be: what does not fit is not appended. Whoever waits must not wait for ever all the same.
            for text in together { fail(text, error) }
        }
        let took = ContinuousClock.now - began
        budget.learn(tokens: tokens, seconds: took.seconds)
        metrics.steps.increment()
        metrics.step.record(duration: took)
        metrics.stepRows.record(tokens)
        for (text, before) in zip(running, before) {
            guard let at = text.lastTokenAt, at != before else { continue }
            let wait = at - (before ?? text.job.arrival)
            (before == nil ? metrics.firstToken : metrics.betweenTokens).record(duration: wait)
            metrics.completionTokens.increment()
        }
    }

    private func score(_ text: RunningText, _ slice: Int) {
        do throws(SessionError) {
            try text.score(slice: slice)
        } catch {
            fail(text, error)
            return
        }
        if let scores = text.scores, text.job.choices > 1 {
            promptScores[PromptID(job: ObjectIdentifier(text.job), prompt: text.promptNumber)] = scores
        }
    }

    private func fail(_ text: RunningText, _ error: SessionError) {
        text.job.fail(.cannotCompute("\(error)"))
        text.job.cancel()
    }

    // MARK: Leaving

    private func leave() {
        let done = running.filter { $0.reason != nil }
        guard !done.isEmpty else { return }
        running.removeAll { $0.reason != nil }
        for text in done {
            cache.insert(text.session)
            inbox.textTook((ContinuousClock.now - text.began).seconds)
            metrics.promptTokens.increment(by: text.prompt.count)
            metrics.reusedTokens.increment(by: text.reusedTokens)
            let isLast = !running.contains { $0.job === text.job } && !waiting.contains { $0.job === text.job }
            if isLast {
                text.job.finish()
                forgetScores(of: text.job)
            }
        }
    }
}
