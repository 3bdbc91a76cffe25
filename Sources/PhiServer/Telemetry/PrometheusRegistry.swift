import CoreMetrics
import Synchronization

/// A metrics backend that writes Prometheus' text format (version 0.0.4).
///
///     let registry = PrometheusRegistry()
///     MetricsSystem.bootstrap(registry)
///     Counter(label: "phi_prompt_tokens_total").increment(by: 12)
///     print(registry.text)
///
/// Labels are the names of metrics; a timer's gets the suffix `_seconds`. Timers and aggregating recorders are histograms, with
/// buckets for seconds or counts. Recording takes an atomic operation or a short lock and never waits for a reader.
package final class PrometheusRegistry: MetricsFactory {
    private struct State {
        var families: [String: Family] = [:]
        /// Texts of `# HELP` lines by metric.
        var help: [String: String] = [:]
    }
    private let state = Mutex(State())

    package init() {}

    /// Sets the help text of a metric.
    package func describe(_ name: String, _ help: String) { state.withLock { $0.help[name] = help } }

    /// All series of one name.
    private struct Family {
        let kind: String
        var series: [(labels: String, value: any Series)]
    }

    /// All metrics, sorted by name.
    package var text: String {
        let state = state.withLock { $0 }
        var lines = ""
        for (name, family) in state.families.sorted(by: { $0.key < $1.key }) {
            if let help = state.help[name] { lines += "# HELP \(name) \(help)\n" }
            lines += "# TYPE \(name) \(family.kind)\n"
            for (labels, series) in family.series { series.write(name, labels, to: &lines) }
        }
        return lines
    }

    private func series<Value: Series>(
        _ name: String, _ dimensions: [(String, String)], _ kind: String, _ make: () -> Value
    ) -> Value {
        let labels = dimensions.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        return state.withLock { state in
            var family = state.families[name] ?? Family(kind: kind, series: [])
            if let known = family.series.first(where: { $0.labels == labels })?.value as? Value { return known }
            let new = make()
            family.series.append((labels, new))
            state.families[name] = family
            return new
        }
    }

    private static func escaped(_ value: String) -> String {
        value.reduce(into: "") { text, character in
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, "counter") { CounterSeries() }
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, "gauge") { GaugeSeries() }
    }

    /// A histogram of counts, or a gauge when it does not aggregate.
    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate { return series(label, dimensions, "histogram") { HistogramSeries(HistogramSeries.counts) } }
        return series(label, dimensions, "gauge") { GaugeSeries() }
    }

    /// A histogram of seconds.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label + "_seconds", dimensions, "histogram") { HistogramSeries(HistogramSeries.seconds) }
    }

    // A series that is made again continues its count.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}

/// The values of one metric with one set of labels.
private protocol Series: Sendable {
    func write(_ name: String, _ labels: String, to text: inout String)
}

private func sample(_ name: String, _ labels: String, _ value: String) -> String {
    labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
}

/// A number in Prometheus' format; integers have no fraction.
private func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
    return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
}

private final class CounterSeries: CounterHandler, Series {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { value.store(0, ordering: .relaxed) }

    func write(_ name: String, _ labels: String, to text: inout String) {
        text += sample(name, labels, String(value.load(ordering: .relaxed)))
    }
}

private final class GaugeSeries: MeterHandler, RecorderHandler, Series {
    private let value = Mutex(0.0)

    func set(_ new: Int64) { set(Double(new)) }
    func set(_ new: Double) { value.withLock { $0 = new } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ new: Int64) { set(new) }
    func record(_ new: Double) { set(new) }

    func write(_ name: String, _ labels: String, to text: inout String) {
        text += sample(name, labels, number(value.withLock { $0 }))
    }
}

private final class HistogramSeries: TimerHandler, RecorderHandler, Series {
    /// Buckets from a step of a tiny model to a long completion.
    static let seconds = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
    ]
    static let counts = [1.0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]

    private struct State {
        var counts: [Int64]
        var sum = 0.0
    }
    private let bounds: [Double]
    private let state: Mutex<State>

    init(_ bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: [Int64](repeating: 0, count: bounds.count + 1)))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) * 1e-9) }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) {
        let place = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock {
            $0.counts[place] += 1
            $0.sum += value
        }
    }

    func write(_ name: String, _ labels: String, to text: inout String) {
        let state = state.withLock { $0 }
        let prefix = labels.isEmpty ? "" : labels + ","
        var running: Int64 = 0
        for (place, count) in state.counts.enumerated() {
            running += count
            let bound = place < bounds.count ? number(bounds[place]) : "+Inf"
            text += sample(name + "_bucket", prefix + "le=\"\(bound)\"", String(running))
        }
        text += sample(name + "_sum", labels, number(state.sum))
        text += sample(name + "_count", labels, String(running))
    }
}
