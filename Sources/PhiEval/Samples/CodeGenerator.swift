import Phi
import PhiTokenizer

/// Generates completions of problems by continuous batching: each step decodes a token of every running sequence, and drafted ones
/// if that pays, so the weights are read once for all of them.
///
/// Each completion equals that of ``Phi/Session/complete(_:_:onText:)-([TokenID],_,_)``, whatever shares its batch.
package struct CodeGenerator {
    private let engine: Engine
    private let settings: GenerationSettings
    private let problems: [CodeProblem]
    private let prompts: [[TokenID]]
    private let batch: Int
    private let run: String

    /// A completion to generate: the indices of its problem and of the sample.
    private struct Job {
        let problem: Int
        let sample: Int
    }

    /// A completion being generated, and the tokens of its prompt to append to its session in the next step.
    private struct RunningJob {
        let job: Job
        let decoder: SequenceDecoder
        var pending: [TokenID]
    }

    /// Prepares completions of `problems` in batches of at most `batch`, itself at most ``Phi/Engine/sessionsAtOnce``.
    /// Every sample carries `run`. Throws ``SessionError`` when there is not enough memory.
    package init(
        _ model: LanguageModel, _ problems: [CodeProblem], _ settings: GenerationSettings, run: String,
        batch: Int = Engine.sessionsAtOnce, threads: Int? = nil, speculation: Speculation = .automatic
    ) throws(SessionError) {
        prompts = problems.map {
            model.effectivePrompt(model.tokenizer.encode($0.prompt, specialTokens: false))
        }
        let longest = prompts.map(\.count).max() ?? 1
        let limit = settings.context ?? model.config.context
        let (needed, isTooMany) = longest.addingReportingOverflow(settings.maximumTokens)
        engine = try Engine(
            model, context: max(1, isTooMany ? limit : min(limit, needed)), threads: threads,
            speculation: speculation)
        self.settings = settings
        self.problems = problems
        self.batch = min(max(1, batch), Engine.sessionsAtOnce)
        self.run = run
    }

    /// Generates all samples except those in `done`. `onSample` receives each one as soon as it is finished;
    /// `shouldContinue` is called before each step.
    ///
    /// Throws what `onSample` throws, ``OptionError``, ``SessionError``, and `CancellationError` when `shouldContinue`
    /// returns false.
    package func generate(
        except done: [CodeSample] = [], onSample: (CodeSample) throws -> Void,
        while shouldContinue: () -> Bool = { true }
    ) throws {
        var waiting = jobs(except: done)[...]
        var running: [RunningJob] = []
        var idle: [Session] = []
        while !waiting.isEmpty || !running.isEmpty {
            guard shouldContinue() else { throw CancellationError() }
            while running.count < batch, let job = waiting.popFirst() {
                guard prompts[job.problem].count <= engine.context else {
                    try onSample(sample(job, "", tokens: 0, reason: "prompt_too_long"))
                    continue
                }
                running.append(try start(job, in: idle.popLast() ?? Session(engine)))
            }
            try engine.append(
                running.filter { !$0.pending.isEmpty }.map { (session: $0.decoder.session, tokens: $0.pending) },
                decoding: running.filter(\.pending.isEmpty).map(\.decoder))
            for index in running.indices {
                repeat { _ = try running[index].decoder.decode() } while running[index].decoder.acceptDraft()
                running[index].pending = []
            }
            for ended in running {
                guard let reason = ended.decoder.stopReason else { continue }
                let output = ended.decoder.output
                try onSample(sample(ended.job, output.text, tokens: output.tokens.count, reason: reason.name))
                idle.append(ended.decoder.session)
            }
            running.removeAll { $0.decoder.stopReason != nil }
        }
    }

    /// The samples that are not in `done`, problem by problem.
    private func jobs(except done: [CodeSample]) -> [Job] {
        let made = Dictionary(grouping: done, by: \.task_id).mapValues { Set($0.compactMap(\.sample)) }
        return problems.indices.flatMap { problem in
            (0..<settings.samples).filter { made[problems[problem].id]?.contains($0) != true }
                .map { Job(problem: problem, sample: $0) }
        }
    }

    private func start(_ job: Job, in session: Session) throws -> RunningJob {
        let options = try settings.options(of: problems[job.problem].id, sample: job.sample)
        return RunningJob(
            job: job, decoder: SequenceDecoder(session, options),
            pending: Array(session.rewind(to: prompts[job.problem])))
    }

    private func sample(_ job: Job, _ text: String, tokens: Int, reason: String) -> CodeSample {
        let task = problems[job.problem].id
        return CodeSample(
            task_id: task, completion: text, sample: job.sample, stop_reason: reason, tokens: tokens,
            seed: settings.sampling.temperature > 0 ? settings.seed(of: task, sample: job.sample) : nil, run: run)
    }
}
