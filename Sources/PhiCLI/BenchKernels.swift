import ArgumentParser
import Phi
import PhiBench
import PhiCommandSupport
import PhiJSON

/// `phi bench kernels`
struct BenchKernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Time each kernel operation on phi-1's shapes.",
        discussion: "The cases are those of the kernels' tests, which compare them with plain C.")

    @Option(help: "An instruction set, repeatable. Without it, all of this machine except plain C, named reference.")
    var isa: [String] = []

    @Option(
        help: "An operation, repeatable. Without it, all: \(KernelBenchmark.operations.joined(separator: ", ")).")
    var operation: [String] = []

    @Option(name: [.customShort("p"), .customLong("n-prompt")], help: "Tokens computed together.")
    var tokens: NumberList = [1, 8, 96, 512]

    @Option(name: [.customShort("t"), .long], help: "Threads. Without it, one for each core.")
    var threads: NumberList?

    @Option(name: [.customShort("r"), .long], help: "Samples of each.")
    var repetitions = 5

    @Option(name: [.customLong("format"), .customShort("o"), .customLong("output")], help: "md or json.")
    var format: Format = .md

    enum Format: String, ExpressibleByArgument, CaseIterable { case md, json }

    func validate() throws {
        guard (1...1000).contains(repetitions) else { throw ValidationError("-r takes 1 to 1000.") }
        if let threads { try ThreadCounts.validate(threads.numbers, of: "-t") }
        guard tokens.numbers.allSatisfy({ (1...4096).contains($0) }) else {
            throw ValidationError("-p takes 1 to 4096.")
        }
        for name in isa where !Kernels.available.contains(where: { $0.name == name }) {
            let names = Kernels.available.map(\.name).joined(separator: ", ")
            throw ValidationError("--isa takes \(names) on this machine, not \(name).")
        }
        for name in operation where !KernelBenchmark.operations.contains(name) {
            throw ValidationError(
                "--operation takes \(KernelBenchmark.operations.joined(separator: ", ")), not \(name).")
        }
    }

    func run() throws {
        let fast = Kernels.available.filter { $0.name != "reference" }
        let sets = isa.isEmpty ? fast : Kernels.available.filter { isa.contains($0.name) }
        var records: [Record] = []
        ThreadCounts.start(threads?.numbers.max())
        if format == .md { try Console.write(Record.heading) }
        for kernels in sets {
            for threads in threads?.numbers ?? [Engine.defaultThreads] {
                let benchmark = KernelBenchmark(kernels, threads: threads, repetitions: repetitions)
                try benchmark.run(operation, tokens: tokens.numbers) { result in
                    let record = Record(result: result, instructionSet: kernels.name, threads: threads)
                    if format == .md { try Console.write(record.row) }
                    records.append(record)
                }
            }
        }
        if format == .json { try Console.writeJSON(records.map(\.json)) }
    }

    /// A row of the report.
    private struct Record {
        let result: KernelBenchmark.Result
        let instructionSet: String
        let threads: Int

        private var nanoseconds: Double { median(result.samples) }
        private var tops: Double? { result.teraOperationsPerSecond > 0 ? result.teraOperationsPerSecond : nil }

        var json: JSONObject {
            [
                "operation": result.operation, "shape": result.shape, "instruction_set": instructionSet,
                "n_threads": threads, "median_ns": nanoseconds, "samples_ns": result.samples,
                "gbps": result.gigabytesPerSecond, "tops": tops,
            ]
        }

        static let heading = "| operation | shape | isa | threads | us | GB/s | TOPS |\n|---|---|---|---|---|---|---|\n"

        var row: String {
            let cells = [
                result.operation, result.shape, instructionSet, "\(threads)", (nanoseconds / 1e3).fixed(1),
                result.gigabytesPerSecond.fixed(1), tops.map { $0.fixed(3) } ?? "",
            ]
            return "| " + cells.joined(separator: " | ") + " |\n"
        }
    }
}
