import ArgumentParser
import Phi
import PhiEval
import PhiFormat
import PhiCommandSupport

extension CodeBenchmark.PromptMode: ExpressibleByArgument {}

/// `phi eval humaneval`
struct EvalHumanEval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "humaneval",
        abstract: "Score a model, or samples, on HumanEval.",
        discussion: EvalCode.discussion)

    @OptionGroup var model: ModelOptions
    @OptionGroup var code: EvalCode
    @OptionGroup var sampling: SamplingArguments

    @Option(
        help: "How prompts end: stripped, as bigcode-evaluation-harness does it, or raw, as they stand in the file.")
    var prompt: CodeBenchmark.PromptMode = .stripped

    func run() throws { try code.run(.humanEval, model, sampling, mode: prompt, promptTests: 0) }
}

/// `phi eval mbpp`
struct EvalMBPP: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mbpp",
        abstract: "Score a model, or samples, on MBPP's test split, tasks 11 to 510.",
        discussion: EvalCode.discussion)

    @OptionGroup var model: ModelOptions
    @OptionGroup var code: EvalCode
    @OptionGroup var sampling: SamplingArguments

    @Option(help: "How prompts end: raw, with a newline after the docstring, or stripped.")
    var prompt: CodeBenchmark.PromptMode = .raw

    @Option(help: "Checks that a prompt shows: 3, as in MBPP's paper, or 1, as in bigcode-evaluation-harness.")
    var promptTests = 3

    func validate() throws {
        guard (0...3).contains(promptTests) else { throw ValidationError("--prompt-tests takes 0 to 3.") }
    }

    func run() throws { try code.run(.mbpp, model, sampling, mode: prompt, promptTests: promptTests) }
}

/// What both have in common.
struct EvalCode: ParsableArguments {
    static let discussion = """
        Completions are made many at once, each as phi complete makes it, and written to the samples file (-o) as they \
        come; a run that was stopped goes on from there. Then every program runs in a bubblewrap sandbox and is judged by \
        its problem's checks. Scores are those of OpenAI's human-eval on the same samples.
        """

    @Option(help: "The problem file, .jsonl or .jsonl.gz.")
    var problems: String

    @Option(help: "Score these samples, JSON lines with task_id and completion, and make none.")
    var samples: String?

    @Flag(help: "Score the problem file's own solutions, which should give 100%.")
    var references = false

    @Option(name: [.short, .long], help: "The file that samples are written to, and go on from.")
    var output: String?

    @Option(name: [.customShort("k")], help: "The k of pass@k: numbers as in 1,10.")
    var k: NumberList = "1"

    @Option(name: [.customShort("N"), .customLong("n-samples")], help: "Completions of each problem.")
    var sampleCount = 1

    @Option(name: [.customShort("n"), .customLong("max-tokens")], help: "Tokens of a completion at most.")
    var tokens = 512

    @Option(help: "Take the first so many problems only.")
    var limit: Int?

    @Option(help: "Completions that are made at once, 1 to \(Engine.sessionsAtOnce). The texts do not depend on it.")
    var batch = min(16, Engine.sessionsAtOnce)

    @Option(name: [.customShort("t"), .long], help: "Threads to compute on. Without it, one for each core.")
    var threads: Int?

    @Option(help: "Positions that prompt and completion may take, at most the model's own number.")
    var context: Int?

    @Option(help: "Programs that are checked at once. Without it, one for each core.")
    var workers: Int?

    @Option(help: "Seconds that a program may take. Without it, 3 as in human-eval, and 10 for MBPP.")
    var timeout: Double?

    @Option(help: "The Python interpreter that programs run in.")
    var python = "python3"

    @Flag(help: "Run programs without bubblewrap, with your rights and files. They are whatever the model wrote.")
    var allowUnsandboxed = false

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if [samples != nil, references, output != nil].filter({ $0 }).count > 1 {
            throw ValidationError("--samples, --references and -o exclude each other.")
        }
        guard k.numbers.allSatisfy({ $0 > 0 }) else { throw ValidationError("-k takes 1 or more.") }
        guard (1...10_000).contains(sampleCount) else { throw ValidationError("--n-samples takes 1 to 10000.") }
        guard tokens > 0 else { throw ValidationError("--max-tokens takes 1 or more.") }
        if let limit, limit < 1 { throw ValidationError("--limit takes 1 or more.") }
        guard (1...Engine.sessionsAtOnce).contains(batch) else {
            throw ValidationError("--batch takes 1 to \(Engine.sessionsAtOnce).")
        }
        if let threads { try ThreadCounts.validate([threads], of: "--threads") }
        if let context, context < 1 { throw ValidationError("--context takes 1 or more.") }
        if let workers, !(1...256).contains(workers) { throw ValidationError("--workers takes 1 to 256.") }
        if let timeout, !(timeout > 0 && timeout <= 3600) { throw ValidationError("--timeout takes seconds above 0.") }
    }

    /// Makes samples or reads them, judges them and prints the score.
    func run(
        _ benchmark: CodeBenchmark, _ model: ModelOptions, _ sampling: SamplingArguments, mode: CodeBenchmark.PromptMode,
        promptTests: Int
    ) throws {
        let all = try benchmark.problems(path: problems, mode: mode, promptTests: promptTests)
        let chosen = Array(all.prefix(limit ?? all.count))
        // Before hours of generation, not after.
        var limits = Sandbox.Limits()
        limits.seconds = timeout ?? benchmark.seconds
        let sandbox = try Sandbox(python: python, allowUnsandboxed: allowUnsandboxed, limits: limits)
        Interrupt.catchSignals()
        var name: String?
        var protocolName = "\(benchmark.rawValue), \(chosen.count) of \(all.count) problems; "
        let made: [CodeSample]
        if let samples {
            made = try CodeSample.read(samples, of: all)
            protocolName += "samples of \(samples)"
        } else if references {
            made = chosen.map { CodeSample(task_id: $0.id, completion: $0.reference) }
            protocolName += "reference solutions"
        } else {
            let model = try model.open()
            name = model.file.path
            let settings = try settings(benchmark, sampling)
            made = try generate(model, all, chosen, settings)
            protocolName += settings.description(mode, benchmark == .mbpp ? promptTests : nil)
        }
        let results = try judge(made, of: chosen, in: sandbox)
        let report = CodeReport(
            benchmark: benchmark.rawValue, model: name, protocol: protocolName, sandbox: sandbox.isConfined,
            timeout: limits.seconds, results: results, k: k.numbers)
        try json ? JSONOutput.print(report) : Console.write(report.text)
    }

    private func settings(
        _ benchmark: CodeBenchmark, _ sampling: SamplingArguments
    ) throws -> GenerationSettings {
        GenerationSettings(
            maximumTokens: tokens, sampling: try sampling.options(seed: sampling.seed ?? 0), samples: sampleCount,
            stops: benchmark.stops, context: context)
    }

    /// The samples of the chosen problems, some of which may be in the output already.
    private func generate(
        _ model: LanguageModel, _ all: [CodeProblem], _ chosen: [CodeProblem], _ settings: GenerationSettings
    ) throws -> [CodeSample] {
        let run = settings.fingerprint(model, all)
        let generator = try CodeGenerator(model, chosen, settings, run: run, batch: batch, threads: threads)
        let file = try output.map { try SampleFile(path: $0, run: run) }
        let ids = Set(chosen.map(\.id))
        func isWanted(_ sample: CodeSample) -> Bool {
            ids.contains(sample.task_id) && (0..<settings.samples).contains(sample.sample ?? -1)
        }
        let done = (file?.samples ?? []).filter(isWanted)
        var fresh: [CodeSample] = []
        let missing = chosen.count * settings.samples - done.count
        var bar = ProgressBar("samples")
        defer { bar.finish() }
        try generator.generate(except: done) { sample in
            try file?.append(sample)
            fresh.append(sample)
            bar.update(Double(fresh.count) / Double(missing))
        } while: {
            !Interrupt.isNoted
        }
        try file?.finish(all)
        return done + fresh
    }

    /// The verdicts of each problem's samples. Throws ``FormatError`` when a problem has no sample.
    private func judge(_ samples: [CodeSample], of problems: [CodeProblem], in sandbox: Sandbox) throws -> [CodeResult]
    {
        let places = Dictionary(uniqueKeysWithValues: problems.enumerated().map { ($1.id, $0) })
        func order(_ sample: CodeSample, _ line: Int) -> (Int, Int, Int) {
            (places[sample.task_id] ?? 0, sample.sample ?? 0, line)
        }
        let judged = samples.enumerated().filter { places[$1.task_id] != nil }
            .sorted { order($0.element, $0.offset) < order($1.element, $1.offset) }.map(\.element)
        var results = problems.map { CodeResult(task_id: $0.id) }
        let attempted = Set(judged.map(\.task_id))
        if let missing = problems.first(where: { !attempted.contains($0.id) }) {
            throw FormatError(
                self.samples ?? output ?? "samples", "has no sample of \(missing.id); --limit takes fewer")
        }
        let programs = judged.map { problems[places[$0.task_id] ?? 0].program($0.completion) }
        let progress = JudgingProgress(total: programs.count)
        defer { progress.finish() }
        let verdicts = try sandbox.judge(programs, workers: workers ?? Engine.defaultThreads) { progress.update($0) }
        for (sample, verdict) in zip(judged, verdicts) {
            results[places[sample.task_id] ?? 0].samples.append(
                CodeResult.Sample(verdict: verdict.name, detail: verdict.detail, stop_reason: sample.stop_reason))
        }
        return results
    }
}
