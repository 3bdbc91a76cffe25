import ArgumentParser
import Phi
import PhiBench
import PhiCommandSupport
import PhiFormat

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The output format of `phi bench`.
enum BenchmarkFormat: String, ExpressibleByArgument, CaseIterable {
    case md, csv, json, jsonl
}

/// Start-up times, measured once before anything else; the start of the process itself is not included.
struct Startup {
    /// From before opening the file until a session with the model's full context is ready.
    let loadSeconds: Double
    /// From before opening the file until the first token after a prompt of five.
    let firstTokenSeconds: Double

    init(_ model: LanguageModel, threads: Int, since start: ContinuousClock.Instant) throws {
        let session = try Session(model, threads: threads)
        loadSeconds = start.duration(to: .now).seconds
        _ = try session.complete([0, 1, 2, 3, 4], GenerationOptions(maximumTokens: 1))
        firstTokenSeconds = start.duration(to: .now).seconds
    }
}

/// A row of the report, with llama-bench's field names where it has them.
struct BenchmarkRecord: Encodable {
    /// The version, as SwiftPM does not pass the commit to a build.
    let build_commit: String
    let cpu_info: String
    let test_time: String
    let instruction_set: String
    let backends = "CPU"
    let model_filename: String
    let model_type: String
    let model_size: Int
    let model_n_params: Int
    let n_threads: Int
    let n_prompt: Int
    let n_gen: Int
    let n_depth: Int
    let avg_ns: Double
    let stddev_ns: Double
    let avg_ts: Double
    let stddev_ts: Double
    let median_ts: Double
    let samples_ns: [Int]
    let samples_ts: [Double]
    let read_gbps: Double
    let read_share: Double?
    let int8_tops: Double
    let int8_share: Double?
    /// Bytes that decoding a token must read; nil with a prompt.
    let bytes_per_token: Double?
    let kv_cache_bytes: Int
    let load_s: Double
    let first_token_in_process_s: Double
    let memory_mb: Double?
    let test: String

    init(_ result: BenchmarkResult, _ model: LanguageModel, _ startup: Startup) {
        build_commit = swiftPhiVersion
        cpu_info = ProcessorName.current
        test_time = Date.now.ISO8601Format()
        instruction_set = model.kernels.name
        model_filename = model.file.path
        model_type = "phi \((Double(model.config.parameters) / 1e9).fixed(2))B \(model.encoding.name)"
        model_size = model.file.mapping.count
        model_n_params = model.config.parameters
        n_threads = result.benchmark.threads
        n_prompt = result.benchmark.prompt
        n_gen = result.benchmark.generate
        n_depth = result.benchmark.depth
        samples_ns = result.samples.map { Int($0) }
        samples_ts = result.rates
        avg_ns = mean(result.samples)
        stddev_ns = standardDeviation(result.samples)
        avg_ts = mean(samples_ts)
        stddev_ts = standardDeviation(samples_ts)
        median_ts = median(samples_ts)
        read_gbps = result.limits.readRate / 1e9
        read_share = result.readShare
        int8_tops = result.limits.integerRate / 1e12
        int8_share = result.integerShare
        bytes_per_token = result.benchmark.prompt == 0 ? result.bytesPerToken : nil
        kv_cache_bytes = result.cacheBytes
        load_s = startup.loadSeconds
        first_token_in_process_s = startup.firstTokenSeconds
        memory_mb = result.memory.map { Double($0) / 1e6 }
        test = result.benchmark.name
    }
}

/// Prints records in a format, each as soon as it is measured.
struct BenchmarkReport {
    private let format: BenchmarkFormat
    private var count = 0
    private var last: BenchmarkRecord?

    init(_ format: BenchmarkFormat) { self.format = format }

    mutating func add(_ record: BenchmarkRecord) throws {
        defer { count += 1 }
        last = record
        switch format {
        case .md:
            if count == 0 { try printRow(Self.columns.map(\.name), rule: true) }
            try printRow(Self.columns.map { $0.value(record) }, rule: false)
        case .csv:
            if count == 0 { try Console.write(Self.fields.map(\.name).joined(separator: ",") + "\n") }
            try Console.write(Self.fields.map { $0.value(record) }.joined(separator: ",") + "\n")
        case .json:
            try Console.write(count == 0 ? "[\n" : ",\n")
            try Console.writeJSON(record)
        case .jsonl:
            try Console.writeJSON(record, pretty: false)
        }
    }

    func finish() throws {
        if format == .json { try Console.write(count == 0 ? "[]\n" : "]\n") }
        guard format == .md, let last else { return }
        let memory = last.memory_mb.map { "; memory beyond file and KV cache \($0.fixed(0)) MB" } ?? ""
        try Console.write(
            """

            \(last.instruction_set); ready in \((last.load_s * 1e3).fixed(1)) ms, first token in process after \
            \((last.first_token_in_process_s * 1e3).fixed(0)) ms\(memory)

            """)
    }

    private func printRow(_ cells: [String], rule: Bool) throws {
        let widths = [24, 11, 9, 7, 18, 18, 18, 20]
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        try Console.write("| " + zip(cells, widths).map(pad).joined(separator: " | ") + " |\n")
        if rule {
            try Console.write("|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|\n")
        }
    }

    private typealias Column = (name: String, value: @Sendable (BenchmarkRecord) -> String)

    /// The columns of the Markdown table.
    private static let columns: [Column] = [
        ("model", { $0.model_type }),
        ("size", { "\((Double($0.model_size) / 1_048_576).fixed(2)) MiB" }),
        ("params", { "\((Double($0.model_n_params) / 1e6).fixed(1)) M" }),
        ("threads", { "\($0.n_threads)" }),
        ("test", { $0.test }),
        ("t/s", { "\($0.avg_ts.fixed(2)) ± \($0.stddev_ts.fixed(2))" }),
        ("read share", { row in row.read_share.map { "\(percent($0)) of \(row.read_gbps.fixed(1)) GB/s" } ?? "" }),
        ("int8 share", { row in row.int8_share.map { "\(percent($0)) of \(row.int8_tops.fixed(2)) TOPS" } ?? "" }),
    ]

    /// The columns of the CSV; samples are in the JSON only.
    private static let fields: [Column] = [
        ("build_commit", { quoted($0.build_commit) }), ("cpu_info", { quoted($0.cpu_info) }),
        ("test_time", { quoted($0.test_time) }),
        ("instruction_set", { quoted($0.instruction_set) }), ("backends", { quoted($0.backends) }),
        ("model_filename", { quoted($0.model_filename) }), ("model_type", { quoted($0.model_type) }),
        ("model_size", { "\($0.model_size)" }), ("model_n_params", { "\($0.model_n_params)" }),
        ("n_threads", { "\($0.n_threads)" }), ("n_prompt", { "\($0.n_prompt)" }), ("n_gen", { "\($0.n_gen)" }),
        ("n_depth", { "\($0.n_depth)" }), ("avg_ns", { $0.avg_ns.fixed(0) }), ("stddev_ns", { $0.stddev_ns.fixed(0) }),
        ("avg_ts", { $0.avg_ts.fixed(4) }), ("stddev_ts", { $0.stddev_ts.fixed(4) }),
        ("median_ts", { $0.median_ts.fixed(4) }), ("read_gbps", { $0.read_gbps.fixed(3) }),
        ("read_share", { $0.read_share?.fixed(4) ?? "" }), ("int8_tops", { $0.int8_tops.fixed(4) }),
        ("int8_share", { $0.int8_share?.fixed(4) ?? "" }),
        ("bytes_per_token", { $0.bytes_per_token?.fixed(0) ?? "" }), ("kv_cache_bytes", { "\($0.kv_cache_bytes)" }),
        ("load_s", { $0.load_s.fixed(6) }),
        ("first_token_in_process_s", { $0.first_token_in_process_s.fixed(6) }),
        ("memory_mb", { $0.memory_mb?.fixed(1) ?? "" }),
        ("test", { quoted($0.test) }),
    ]

    private static func percent(_ share: Double) -> String { (share * 100).fixed(0) + "%" }
    private static func quoted(_ text: String) -> String { "\"" + text.replacing("\"", with: "\"\"") + "\"" }
}
