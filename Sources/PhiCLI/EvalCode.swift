import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat

extension PromptMode: ExpressibleByArgument {}

/// `phi eval humaneval`, `phi eval mbpp`: the subcommand of a problem set.
struct EvalCode<Problems: ProblemSet>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Problems.name.lowercased(), abstract: Problems.abstract,
            discussion: """
                Completions are generated in batches, each equal to that of phi complete, and appended to the samples file \
                (-o) as they finish; an interrupted run resumes from there. Then every program runs in a bubblewrap \
                sandbox and is judged by its problem's checks, which run in another and see only the values that it \
                returns. Scores are those of OpenAI's human-eval but for programs and checks that share more than \
                values, as ARCHITECTURE.md says under Sandbox. With --endpoint a language model \
                also grades each completion from 0 to 10, as an interviewer would.
                """)
    }

    @OptionGroup var model: ModelOptions

    @Option(
        help: ArgumentHelp(
            "The problem file, .jsonl, .jsonl.gz or a JSON array."
                + (Problems.builtIn == nil ? "" : " Without it, the built-in one.")
        ))
    var problems: FilePath?

    @Option(
        help: """
            Score these samples, JSON lines with task_id and completion, or solution for a whole program, and generate none.
            """)
    var samples: FilePath?

    @Flag(help: "Score the problem file's own solutions, which should give 100%.")
    var references = false

    @Option(name: [.short, .long], help: "The samples file to write or resume.")
    var output: FilePath?

    @Option(name: [.customShort("k")], help: "The k of pass@k: numbers as in 1,10.")
    var k: NumberList = [1]

    @Option(name: [.customShort("N"), .customLong("n-samples")], help: "Completions of each problem.")
    var sampleCount = 1

    @Option(name: [.customShort("n"), .long, .customLong("tokens")], help: "Largest number of tokens of a completion.")
    var maxTokens = 512

    @Option(help: "Take only this many problems, the first ones.")
    var limit: Int?

    @Option(
        help:
            "Completions generated at a time, 1 to \(Engine.sessionsAtOnce). They do not depend on it. Without it, 16.")
    var batch: Int?

    @Option(name: [.customShort("t"), .long], help: "Threads to compute on. Without it, one for each core.")
    var threads: Int?

    @Option(
        name: [.customShort("c"), .long],
        help: "Largest number of positions of prompt and completion, at most the model's, which is the default.")
    var context: Int?

    @Option(help: "Programs that run at a time. Without it, one for each core.")
    var workers: Int?

    @Option(help: "Seconds a program may run.")
    var timeout = Problems.seconds

    @Option(help: "The Python interpreter that runs the programs.")
    var python = FilePath("python3")

    @Flag(help: "Run programs without bubblewrap, with your rights and files. They are whatever the model wrote.")
    var allowUnsandboxed = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var grading: GradingOptions
    @OptionGroup var sampling: SamplingArguments
    @OptionGroup var speculation: SpeculationOptions

    @Option(
        help: """
            How prompts end: raw, as the problem set defines them, or stripped, without whitespace at both ends, the \
            default of bigcode-evaluation-harness.
            """)
    var prompt = Problems.promptMode

    @Option(help: Self.promptTestsHelp)
    var promptTests: Int = Problems.promptTests?.standard ?? 0

    /// Hidden for sets that have no such choice.
    private static var promptTestsHelp: ArgumentHelp {
        guard let choice = Problems.promptTests else { return .private }
        return ArgumentHelp(choice.help)
    }

    func validate() throws {
        try requireProblems(problems, of: Problems.self)
        if [samples != nil, references, output != nil].filter({ $0 }).count > 1 {
            throw ValidationError("--samples, --references and -o exclude each other.")
        }
        if samples != nil || references { try refuseIdleOptions() }
        guard k.numbers.allSatisfy({ $0 > 0 }) else { throw ValidationError("-k takes 1 or more.") }
        guard (1...10_000).contains(sampleCount) else { throw ValidationError("--n-samples takes 1 to 10000.") }
        if samples == nil, let most = k.numbers.max(), most > (references ? 1 : sampleCount) {
            let advice = references ? "--references has one." : "-N \(most) makes them."
            throw ValidationError("pass@\(most) needs \(most) samples of each problem; \(advice)")
        }
        guard maxTokens > 0 else { throw ValidationError("--max-tokens takes 1 or more.") }
        if let limit, limit < 1 { throw ValidationError("--limit takes 1 or more.") }
        if let batch, !(1...Engine.sessionsAtOnce).contains(batch) {
            throw ValidationError("--batch takes 1 to \(Engine.sessionsAtOnce).")
        }
        if let threads { try ThreadCounts.validate([threads], of: "--threads") }
        if let context, context < 1 { throw ValidationError("--context takes 1 or more.") }
        if let workers, !(1...256).contains(workers) { throw ValidationError("--workers takes 1 to 256.") }
        guard timeout > 0, timeout <= 3600 else {
            throw ValidationError("--timeout takes seconds above 0, at most 3600.")
        }
        if let range = Problems.promptTests?.range, !range.contains(promptTests) {
            throw ValidationError("--prompt-tests takes \(range.lowerBound) to \(range.upperBound).")
        }
        if Problems.promptTests == nil, promptTests != 0 {
            throw ValidationError("--prompt-tests does not apply to \(Problems.name).")
        }
        if let output, output.bytes == grading.grades?.bytes {
            throw ValidationError("-o and --grades name the same file.")
        }
        _ = try sampling.options(seed: 0)
    }

    /// Throws a `ValidationError` when an option of generation is given, without which nothing is generated.
    private func refuseIdleOptions() throws {
        let idle = [
            ("-m", model.model != nil), ("-N", sampleCount != 1), ("-n", maxTokens != 512),
            ("--context", context != nil), ("--seed", sampling.seed != nil), ("--batch", batch != nil),
            ("--threads", threads != nil),
            ("--no-speculate", speculation.noSpeculate),
            ("--draft-corpus", speculation.draftCorpus != nil), ("--draft-model", speculation.draftModel != nil),
        ]
        let chosen = try sampling.options(seed: 0)
        let drawn = SamplingParameter.all.filter { $0.text(in: chosen) != $0.text(in: SamplingOptions.greedy) }
        let given = idle.first { $0.1 }?.0 ?? drawn.first.map { "--\($0.name)" }
        if let given {
            let source = references ? "--references" : "--samples"
            throw ValidationError("With \(source) nothing is generated, so \(given) has no effect.")
        }
    }

    /// Generates or reads samples, judges them and prints the score.
    func run() throws {
        let all = try Problems.read(problems, mode: prompt, promptTests: promptTests)
        let chosen = Array(all.prefix(limit ?? all.count))
        // Before hours of generation, not after.
        var limits = Sandbox.Limits()
        limits.seconds = timeout
        let sandbox = try Sandbox(python: python.description, allowUnsandboxed: allowUnsandboxed, limits: limits)
        let grader = try grading.grader(of: Problems.self)
        Interrupt.catchSignals()
        var name: String?
        var source: String
        let made: [CodeSample]
        if let samples {
            made = try CodeSample.read(samples, of: all)
            source = "samples of \(samples)"
        } else if references {
            made = try chosen.map { problem in
                guard let reference = problem.reference else {
                    let file = Problems.fileName(problems)
                    throw FormatError(file, "has no solution of \(problem.id), which --references would score")
                }
                return CodeSample(task_id: problem.id, completion: reference)
            }
            source = "reference solutions"
        } else {
            let model = try model.open()
            try model.checkContext(context)
            name = model.file.path
            let settings = GenerationSettings(
                maximumTokens: maxTokens, sampling: try sampling.options(seed: sampling.seed ?? 0),
                samples: sampleCount,
                stops: Problems.stops, context: context)
            made = try generate(model, all, chosen, settings, grader)
            let shown = Problems.promptTests == nil ? "" : " with \(promptTests) checks"
            source = "prompt \(prompt.rawValue)\(shown), \(settings.description)"
        }
        let (results, fault) = try judge(made, of: chosen, in: sandbox, grader)
        let report = CodeReport(
            benchmark: Problems.name, model: name,
            protocol: "\(Problems.name), \(chosen.count) of \(all.count) problems; \(source)",
            sandbox: sandbox.isConfined, timeout: timeout, grader: fault == nil ? grading.grader : nil,
            results: results, k: k.numbers.enumerated().filter { !k.numbers[..<$0].contains($1) }.map(\.element))
        try Console.write(report, json: json)
        if let fault { throw fault }
    }

    /// The samples of the chosen problems, including those already in the output.
    private func generate(
        _ model: LanguageModel, _ all: [CodeProblem], _ chosen: [CodeProblem], _ settings: GenerationSettings,
        _ grader: Grader?
    ) throws -> [CodeSample] {
        ThreadCounts.start(threads)
        let run = settings.fingerprint(model, all)
        let generator = try CodeGenerator(
            model, chosen, settings, run: run, batch: batch ?? min(16, Engine.sessionsAtOnce), threads: threads,
            speculation: speculation.speculation(model))
        let file = try output.map { try SampleFile($0, run: run) }
        let ids = Set(chosen.map(\.id))
        let done = (file?.samples ?? []).filter {
            ids.contains($0.task_id) && (0..<settings.samples).contains($0.sample ?? -1)
        }
        var fresh: [CodeSample] = []
        let missing = chosen.count * settings.samples - done.count
        // The server may come up while samples are generated, so this is no error.
        if missing > 0, let fault = try grader?.endpoint.connectionFault(while: { !Interrupt.isNoted }) {
            Console.warn("no grades if this stays so: \(fault)")
        }
        try withProgress("samples") { progress in
            try generator.generate(except: done) { sample in
                try file?.append(sample)
                fresh.append(sample)
            } while: {
                progress(Double(fresh.count) / Double(max(1, missing)))
            }
        }
        try file?.finish(all)
        let long = (done + fresh).filter { $0.stop_reason == "prompt_too_long" }.count
        if long > 0 {
            let positions = context ?? model.config.context
            Console.warn(
                "the context of \(positions) tokens is too short for the prompts of \(long) samples, which are empty")
        }
        return done + fresh
    }

    /// The verdicts of each problem's samples, and their grades, or without these the fault of the endpoint. Throws ``FormatError`` when
    /// a problem has no sample.
    private func judge(
        _ samples: [CodeSample], of problems: [CodeProblem], in sandbox: Sandbox, _ grader: Grader?
    ) throws -> (results: [CodeResult], fault: FormatError?) {
        let places = Dictionary(uniqueKeysWithValues: problems.enumerated().map { ($1.id, $0) })
        func order(_ sample: CodeSample, _ line: Int) -> (Int, Int, Int) {
            (places[sample.task_id] ?? 0, sample.sample ?? 0, line)
        }
        let judged = samples.enumerated().filter { places[$1.task_id] != nil }
            .sorted { order($0.element, $0.offset) < order($1.element, $1.offset) }.map(\.element)
        var results = problems.map { CodeResult(task_id: $0.id) }
        let counts = judged.reduce(into: [:]) { counts, sample in counts[sample.task_id, default: 0] += 1 }
        let source = (self.samples ?? output)?.description ?? "samples"
        let needed = k.numbers.min() ?? 1
        for problem in problems {
            guard let count = counts[problem.id] else {
                throw FormatError(source, "has no sample of \(problem.id); --limit takes fewer problems")
            }
            guard count >= needed else {
                let fault = "has \(count) samples of \(problem.id), and pass@\(needed) needs \(needed)"
                throw FormatError(source, fault)
            }
        }
        let programs = judged.map { problems[places[$0.task_id] ?? 0].program($0) }
        let verdicts = try withProgress("checks") { progress in
            try sandbox.judge(programs, workers: workers ?? Engine.defaultThreads) { done in
                progress(Double(done) / Double(programs.count))
            }
        }
        var grades: [Grade?]?
        var fault: FormatError?
        var unusable: Grader.Unusable?
        do {
            grades = try withProgress("grades") { progress in
                try grader?.grades(
                    of: judged.map { (problems[places[$0.task_id] ?? 0], $0.completion) }, while: progress,
                    onUnusable: { unusable = $0 })
            }
        } catch let error as FormatError {
            fault = error
        }
        if let unusable { Console.warn(unusable.shown(grading.grader ?? "the grader")) }
        for (index, (sample, verdict)) in zip(judged, verdicts).enumerated() {
            results[places[sample.task_id] ?? 0].samples.append(
                CodeResult.Sample(verdict, grades?[index], stop_reason: sample.stop_reason))
        }
        return (results, fault)
    }
}
