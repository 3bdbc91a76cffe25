import ArgumentParser
import Phi
import PhiBench
import PhiCommandSupport
import PhiFormat
import PhiJSON

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The output format of `phi bench`.
enum BenchmarkFormat: String, ExpressibleByArgument, CaseIterable {
    case md, csv, json, jsonl, sql
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

/// A row of the report.
struct BenchmarkRecord {
    let result: BenchmarkResult
    let model: LanguageModel
    let startup: Startup
    private let time = Date.now.ISO8601Format()

    /// A value in JSON and CSV. Numbers are rounded in CSV, to that many digits after the point; lists are in JSON only.
    enum Value {
        case text(String)
        case whole(Int)
        case number(Double?, digits: Int)
        case flag(Bool)
        case list(JSONObject.Value)
    }

    /// Bytes of memory beyond file and KV cache, in units of 10^6.
    var megabytes: Double? { result.memory.map { Double($0) / 1e6 } }

    /// The fields of JSON and CSV, with llama-bench's names where it has them.
    var fields: [(name: String, value: Value)] {
        let (limits, rates) = (result.limits, result.rates)
        return llamaBenchFields + [
            ("instruction_set", .text(model.kernels.name)),
            ("median_ts", .number(median(rates), digits: 4)),
            ("samples_ns", .list(result.samples.map { Int($0) })),
            ("samples_ts", .list(rates)),
            ("read_gbps", .number(limits.readRate / 1e9, digits: 3)),
            ("read_share", .number(result.readShare, digits: 4)),
            ("int8_tops", .number(limits.integerRate / 1e12, digits: 4)),
            ("int8_share", .number(result.integerShare, digits: 4)),
            ("bytes_per_token", .number(result.benchmark.prompt == 0 ? result.bytesPerToken : nil, digits: 0)),
            ("kv_cache_bytes", .whole(result.cacheBytes)),
            ("load_s", .number(startup.loadSeconds, digits: 6)),
            ("first_token_in_process_s", .number(startup.firstTokenSeconds, digits: 6)),
            ("memory_mb", .number(megabytes, digits: 1)),
            ("test", .text(result.benchmark.name)),
        ]
    }

    /// The fields of llama-bench, in its order. Those of graphics processors, and of choices that there are not here, have the
    /// values that it gives on a CPU.
    var llamaBenchFields: [(name: String, value: Value)] {
        let (benchmark, rates) = (result.benchmark, result.rates)
        return [
            ("build_commit", .text(swiftPhiVersion)),  // SwiftPM does not pass the commit to a build
            ("build_number", .whole(0)),
            ("cpu_info", .text(ProcessorName.current)),
            ("gpu_info", .text("")),
            ("backends", .text("CPU")),
            ("model_filename", .text(model.file.path)),
            ("model_type", .text(model.typeName)),
            ("model_size", .whole(model.file.mapping.count)),
            ("model_n_params", .whole(model.config.parameters)),
            ("n_batch", .whole(Engine.batchTokens)),
            ("n_ubatch", .whole(Engine.batchTokens)),
            ("n_threads", .whole(benchmark.threads)),
            ("cpu_mask", .text("0x0")),
            ("cpu_strict", .flag(false)),
            ("poll", .whole(0)),
            ("type_k", .text(model.cacheEncoding.rawValue)),
            ("type_v", .text(model.cacheEncoding.rawValue)),
            ("n_gpu_layers", .whole(0)),
            ("n_cpu_moe", .whole(0)),
            ("split_mode", .text("none")),
            ("main_gpu", .whole(0)),
            ("no_kv_offload", .flag(false)),
            ("flash_attn", .whole(1)),
            ("devices", .text("none")),
            ("tensor_split", .text("0.00")),
            ("tensor_buft_overrides", .text("none")),
            ("load_mode", .text("mmap")),
            ("lazy_mode", .text("none")),
            ("embeddings", .flag(false)),
            ("no_op_offload", .whole(0)),
            ("no_host", .flag(false)),
            ("repack", .flag(false)),
            ("fit_target", .whole(0)),
            ("fit_min_ctx", .whole(0)),
            ("n_prompt", .whole(benchmark.prompt)),
            ("n_gen", .whole(benchmark.generate)),
            ("n_depth", .whole(benchmark.depth)),
            ("test_time", .text(time)),
            ("avg_ns", .number(mean(result.samples), digits: 0)),
            ("stddev_ns", .number(standardDeviation(result.samples), digits: 0)),
            ("avg_ts", .number(mean(rates), digits: 4)),
            ("stddev_ts", .number(standardDeviation(rates), digits: 4)),
        ]
    }
}

extension LanguageModel {
    /// Size and encoding, as in llama-bench: `phi 1.42B q4`.
    var typeName: String { "phi \((Double(config.parameters) / 1e9).fixed(2))B \(encoding.name)" }
}

extension BenchmarkRecord.Value {
    var json: JSONObject.Value {
        switch self {
        case .text(let text): text
        case .whole(let number): number
        case .number(let number, _): number
        case .flag(let isSet): isSet
        case .list(let values): values
        }
    }

    /// The cell in CSV; nil for a list.
    var csv: String? {
        switch self {
        case .text(let text): "\"" + text.replacing("\"", with: "\"\"") + "\""
        case .whole(let number): "\(number)"
        case .number(let number, let digits): number?.fixed(digits) ?? ""
        case .flag(let isSet): isSet ? "1" : "0"
        case .list: nil
        }
    }

    /// The value in SQL and the type of its column; lists are not in it.
    fileprivate var sql: (type: String, value: String) {
        switch self {
        case .text(let text): ("TEXT", "'" + text.replacing("'", with: "''") + "'")
        case .whole, .flag: ("INTEGER", csv ?? "NULL")
        case .number(let number, let digits): ("REAL", number?.fixed(digits) ?? "NULL")
        case .list: ("TEXT", "NULL")
        }
    }
}

extension BenchmarkFormat {
    /// Prints a record as CSV or JSON, whichever this is; `count` were printed before.
    func write(_ fields: [(name: String, value: BenchmarkRecord.Value)], after count: Int) throws {
        let json = JSONObject(fields.map { ($0.name, $0.value.json) })
        switch self {
        case .csv:
            let cells = fields.compactMap { field in field.value.csv.map { (field.name, $0) } }
            if count == 0 { try Console.write(cells.map(\.0).joined(separator: ",") + "\n") }
            try Console.write(cells.map(\.1).joined(separator: ",") + "\n")
        case .json:
            try Console.write(count == 0 ? "[\n" : ",\n")
            try Console.writeJSON(json)
        case .jsonl:
            try Console.writeJSON(json, pretty: false)
        case .md, .sql: break
        }
    }

    /// Prints what follows `count` records.
    func finish(after count: Int) throws {
        if self == .json { try Console.write(count == 0 ? "[]\n" : "]\n") }
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
            try printRow(Self.columns.map { $0.cell(record) }, rule: false)
        case .csv, .json, .jsonl:
            try format.write(record.fields, after: count)
        case .sql:
            let fields = record.llamaBenchFields.map { (name: $0.name, sql: $0.value.sql) }
            if count == 0 {
                let columns = fields.map { "  \($0.name) \($0.sql.type)" }.joined(separator: ",\n")
                try Console.write("CREATE TABLE IF NOT EXISTS llama_bench (\n\(columns)\n);\n\n")
            }
            let (names, values) = (fields.map(\.name), fields.map(\.sql.value))
            try Console.write(
                "INSERT INTO llama_bench (\(names.joined(separator: ", "))) VALUES (\(values.joined(separator: ", ")));\n"
            )
        }
    }

    func finish() throws {
        try format.finish(after: count)
        guard format == .md, let last else { return }
        let memory = last.megabytes.map { "; memory beyond file and KV cache \($0.fixed(0)) MB" } ?? ""
        let limits = last.result.limits
        try Console.write(
            """

            read: share of the memory's \((limits.readRate / 1e9).fixed(1)) GB/s; \
            int8: share of the kernels' \((limits.integerRate / 1e12).fixed(2)) TOPS
            \(last.model.kernels.name); ready in \((last.startup.loadSeconds * 1e3).fixed(1)) ms, first token in process \
            after \((last.startup.firstTokenSeconds * 1e3).fixed(0)) ms\(memory)

            """)
    }

    private func printRow(_ cells: [String], rule: Bool) throws {
        let widths = [13, 10, 8, 7, 14, 15, 4, 4]
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        try Console.write("| " + zip(cells, widths).map(pad).joined(separator: " | ") + " |\n")
        if rule {
            try Console.write("|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|\n")
        }
    }

    /// The columns of the Markdown table.
    private static let columns: [(name: String, cell: @Sendable (BenchmarkRecord) -> String)] = [
        ("model", { $0.model.typeName }),
        ("size", { "\((Double($0.model.file.mapping.count) / 1_048_576).fixed(2)) MiB" }),
        ("params", { "\((Double($0.model.config.parameters) / 1e6).fixed(1)) M" }),
        ("threads", { "\($0.result.benchmark.threads)" }),
        ("test", { $0.result.benchmark.name }),
        ("t/s", { rate($0.result.rates) }),
        ("read", { percent($0.result.readShare) }),
        ("int8", { percent($0.result.integerShare) }),
    ]

    private static func rate(_ rates: [Double]) -> String {
        let digits = mean(rates) < 10_000 ? 2 : 0
        return "\(mean(rates).fixed(digits)) ± \(standardDeviation(rates).fixed(digits))"
    }

    private static func percent(_ share: Double?) -> String { share.map { "\(($0 * 100).fixed(0))%" } ?? "" }
}
