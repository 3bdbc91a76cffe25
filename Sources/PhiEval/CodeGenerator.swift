import Phi
import PhiTokenizer

/// Makes completions of problems, many at once: the model's weights are read once for all texts in the making.
///
/// A text is the one that ``Phi/Session/complete(_:_:onText:)-([TokenID],_,_)`` makes, whatever is made beside it.
public struct CodeGenerator {
    private let engine: Engine
    private let settings: GenerationSettings
    private let problems: [CodeProblem]
    private let prompts: [[TokenID]]
    private let batch: Int
    private let run: String

    /// A text to make.
    private struct Job {
        let problem: Int
        let sample: Int
    }

    /// Prepares completions of `problems` with at most `batch` texts at once, which is at most
    /// ``Phi/Engine/sessionsAtOnce``. `run` is noted in every sample. Throws ``SessionError`` when there is no memory.
    public init(
        _ model: LanguageModel, _ problems: [CodeProblem], _ settings: GenerationSettings, run: String,
        batch: Int = Engine.sessionsAtOnce, threads: Int? = nil
    ) throws(SessionError) {
        let prompts = problems.map { model.tokenizer.encode($0.prompt, specialTokens: false) }
        let longest = prompts.map(\.count).max() ?? 1
        let limit = settings.context ?? model.config.context
        engine = try Engine(model, context: max(1, min(limit, longest + settings.maximumTokens)), threads: threads)
        self.settings = settings
        self.problems = problems
        self.prompts = prompts
        self.batch = min(max(1, batch), Engine.sessionsAtOnce)
        self.run = run
    }

    /// Makes all samples but those that are `done`. `onSample` gets each as soon as it is finished; `shouldContinue` is asked before
    /// each step of all texts.
    ///
    /// Throws what `onSample` throws, ``SessionError``, and `CancellationError` when `shouldContinue` says so.
    public func generate(
        except done: [CodeSample] = [], onSample: (CodeSample) throws -> Void,
        while shouldContinue: () -> Bool = { true }
    ) throws {
        var rest = jobs(except: done)[...]
        var texts: [TextInTheMaking] = []
        var idle: [Session] = []
        while !rest.isEmpty || !texts.isEmpty {
            guard shouldContinue() else { throw CancellationError() }
            while texts.count < batch, let job = rest.popFirst() {
                guard prompts[job.problem].count <= engine.context else {
                    try onSample(sample(job, "", tokens: 0, reason: "prompt_too_long"))
                    continue
                }
                texts.append(try begin(job, in: idle.popLast() ?? Session(engine)))
            }
            try engine.append(texts.map { (session: $0.session, tokens: $0.next) })
            for index in texts.indices { texts[index].step(settings.maximumTokens) }
            for text in texts {
                guard let reason = text.reason else { continue }
                let (made, count) = (text.output.text, text.output.tokens.count)
                try onSample(sample(jobOf(text), made, tokens: count, reason: reason.name))
                idle.append(text.session)
            }
            texts.removeAll { $0.reason != nil }
        }
    }

    private func jobOf(_ text: TextInTheMaking) -> Job { Job(problem: text.problem, sample: text.sample) }

    /// What is left to do, problem by problem.
    private func jobs(except done: [CodeSample]) -> [Job] {
        struct Key: Hashable {
            let task: TaskID
            let sample: Int
        }
        let made = Set(done.compactMap { sample in sample.sample.map { Key(task: sample.task_id, sample: $0) } })
        return problems.indices.flatMap { problem in
            (0..<settings.samples).filter { !made.contains(Key(task: problems[problem].id, sample: $0)) }
                .map { Job(problem: problem, sample: $0) }
        }
    }

    private func begin(_ job: Job, in session: Session) throws -> TextInTheMaking {
        let model = engine.model
        let prompt = prompts[job.problem].isEmpty ? [TokenID(model.config.endOfText)] : prompts[job.problem]
        let rest = session.rewind(to: prompt)
        let sampling = settings.options(of: problems[job.problem].id, sample: job.sample)
        return TextInTheMaking(
            problem: job.problem, sample: job.sample, session: session, next: Array(rest),
            sampler: Sampler(sampling, vocabulary: model.config.vocabulary),
            output: GeneratedText(model.tokenizer.vocabulary, stop: settings.stops))
    }

    private func sample(_ job: Job, _ text: String, tokens: Int, reason: String) -> CodeSample {
        let task = problems[job.problem].id
        var sample = CodeSample(task_id: task, completion: text)
        sample.sample = job.sample
        sample.stop_reason = reason
        sample.tokens = tokens
        sample.seed = settings.sampling.temperature > 0 ? settings.seed(of: task, sample: job.sample) : nil
        sample.run = run
        return sample
    }
}

/// A text that is being made, and what its session has to take next.
private struct TextInTheMaking {
    let problem: Int
    let sample: Int
    let session: Session
    var next: [TokenID]
    var sampler: Sampler
    var output: GeneratedText
    /// Why it ended, if it has.
    var reason: StopReason?

    /// Chooses the next token after a step, as `Session.complete` does it.
    mutating func step(_ maximumTokens: Int) {
        let history = session.tokens
        guard let token = session.withLogits({ sampler.sample($0, history: history) }) else { return }
        next = [token]
        reason = output.take(token, of: session, maximumTokens: maximumTokens).end
    }
}
