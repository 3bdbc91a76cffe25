import ArgumentParser
import Phi
import PhiBench
import PhiCommandSupport
import PhiFormat

/// `phi bench model`, the default of `phi bench`
struct BenchModel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Time prefill and decode, with llama-bench's -m -p -n -pg -d -t -r -o and fields.",
        discussion: """
            Numbers may be lists (1,2,4) and ranges (1-8, 64-512*2, 128-512+128), given once or several times; all combinations are run. The same run \
            measures this machine's memory bandwidth and integer rate, and the report gives the share reached.
            """)

    @Option(
        name: [.short, .customLong("model")],
        help: ArgumentHelp(
            "A .phi file, or several as in a.phi,b.phi; repeatable. Without it, the built-in small model.",
            valueName: "model"))
    var models: [ModelList] = []

    @Option(name: [.customShort("p"), .long], help: "Tokens of a prompt to prefill. Without it, 512.")
    var nPrompt: [NumberList] = []

    @Option(name: [.customShort("n"), .long], help: "Tokens to decode. Without it, 128.")
    var nGen: [NumberList] = []

    @Option(
        name: .customLong("pg", withSingleDash: true),
        help: "Tokens to prefill and to decode, timed together, as in 512,128.")
    var pairs: [NumberPair] = []

    @Option(name: [.customShort("d"), .long], help: "Tokens in the KV cache beforehand. Without it, 0.")
    var nDepth: [NumberList] = []

    @Option(name: [.customShort("t"), .long], help: "Threads. Without it, one for each core.")
    var threads: [NumberList] = []

    @Option(name: [.customShort("r"), .long], help: "Timed runs of each case, after a warm-up.")
    var repetitions = 5

    @Option(
        name: [.customLong("format"), .customShort("o"), .customLong("output")],
        help: "md, csv, json, jsonl or sql; -o as in llama-bench, whose fields alone sql has.")
    var format: BenchmarkFormat = .md

    @Flag(help: "Skip the warm-up of each case.")
    var noWarmup = false

    @Option(
        help: ArgumentHelp(
            """
            Instead, decode these completions as if the model had chosen them, with and without speculation: JSON lines of \
            prompt and completion, plain or .gz; repeatable.
            """, valueName: "file"))
    var replay: [FilePath] = []

    @OptionGroup(title: "Options of --replay") var speculation: SpeculationOptions

    func validate() throws {
        guard (1...1000).contains(repetitions) else { throw ValidationError("-r takes 1 to 1000.") }
        if !replay.isEmpty, format == .sql {
            throw ValidationError("--replay has no fields of llama-bench for -o sql.")
        }
        let ofCases = [
            ("-p", !nPrompt.isEmpty), ("-n", !nGen.isEmpty), ("-pg", !pairs.isEmpty), ("-d", !nDepth.isEmpty),
        ]
        if !replay.isEmpty, let name = (ofCases + [("--no-warmup", noWarmup)]).first(where: \.1)?.0 {
            throw ValidationError("\(name) is not for --replay, which decodes the texts of its files after a warm-up.")
        }
        let isSet = speculation.noSpeculate || speculation.draftCorpus != nil || speculation.draftModel != nil
        if replay.isEmpty, isSet {
            throw ValidationError("--no-speculate, --draft-corpus and --draft-model go with --replay.")
        }
        try ThreadCounts.validate(threads.flatMap(\.numbers), of: "-t")
        let tests =
            (Self.numbers(nPrompt, or: 512) + Self.numbers(nGen, or: 128)).count { $0 > 0 } + pairs.count
        if replay.isEmpty, tests == 0 {
            throw ValidationError("There is nothing to time: -p and -n are 0, and there is no -pg.")
        }
        let (depths, teams) = (Self.numbers(nDepth, or: 0).count, Self.numbers(threads, or: 0).count)
        guard tests <= Self.mostCases / depths / teams else {
            throw ValidationError("-p, -n, -pg, -d and -t have more than \(Self.mostCases) combinations.")
        }
    }

    private static let mostCases = 10_000

    private func cases(threads: [Int]) -> [BenchmarkCase] {
        BenchmarkCase.all(
            prompts: Self.numbers(nPrompt, or: 512), generations: Self.numbers(nGen, or: 128),
            pairs: pairs.map { ($0.first, $0.second) }, depths: Self.numbers(nDepth, or: 0), threads: threads)
    }

    /// The numbers of an option's lists, or what it is without one.
    private static func numbers(_ lists: [NumberList], or standard: Int) -> [Int] {
        lists.isEmpty ? [standard] : lists.flatMap(\.numbers)
    }

    func run() throws {
        let threads = Self.numbers(threads, or: Engine.defaultThreads)
        let paths = models.flatMap(\.paths)
        let files: [FilePath?] = paths.isEmpty ? [nil] : paths
        var report = BenchmarkReport(format)
        let replays = ReplayCases(files: replay, repetitions: repetitions, speculation: speculation)
        ThreadCounts.start(threads.max())
        // Before hours of measuring, not after.
        for file in files {
            let model = try LanguageModel(ModelOptions.open(file))
            let limit = model.config.context
            try replays.check(model)
            if replay.isEmpty, let large = cases(threads: threads).first(where: { $0.positions > limit }) {
                throw FormatError(
                    model.file.path,
                    "has a context of \(limit) tokens; \(large.name) needs \(large.positions) (-p, -n, -pg and -d)")
            }
        }
        if !replay.isEmpty {
            var report = ReplayReport(format)
            for file in files {
                try replays.run(LanguageModel(ModelOptions.open(file)), threads: threads, into: &report)
            }
            return try report.finish()
        }
        for file in files { try run(file, threads, into: &report) }
        try report.finish()
    }

    private func run(_ file: FilePath?, _ threads: [Int], into report: inout BenchmarkReport) throws {
        let start = ContinuousClock.now
        let model = try LanguageModel(ModelOptions.open(file))
        let startup = try Startup(model, threads: threads[0], since: start)
        let benchmark = Benchmark(model, repetitions: repetitions, warmUp: !noWarmup)
        for item in cases(threads: threads) {
            if Console.errorIsTerminal { Console.error("\r\u{1B}[K\(item.name), \(item.threads) threads ...") }
            let record = BenchmarkRecord(result: try benchmark.run(item), model: model, startup: startup)
            if Console.errorIsTerminal { Console.error("\r\u{1B}[K") }
            try report.add(record)
        }
    }
}

/// One model or several, separated by commas unless a file has that whole name.
struct ModelList: ExpressibleByArgument {
    let paths: [FilePath]

    init(argument: String) {
        let whole = FilePath(argument: argument)
        if case .file = PathKind(whole) {
            paths = [whole]
        } else {
            paths = argument.split(separator: ",", omittingEmptySubsequences: false).map {
                FilePath(argument: String($0))
            }
        }
    }

    static var defaultCompletionKind: CompletionKind { .file() }
}
