import CoreMetrics
import Metrics

/// The server's metrics. Names and units follow Prometheus' conventions.
package struct ServerMetrics: Sendable {
    private let registry: PrometheusRegistry
    let promptTokens: Counter
    let reusedTokens: Counter
    let completionTokens: Counter
    let draftedTokens: Counter
    let acceptedTokens: Counter
    let cancelled: Counter
    let timedOut: Counter
    let rejected: Counter
    let steps: Counter
    let running: Meter
    let waiting: Meter
    let cacheBytes: Meter
    let directoryBytes: Meter
    let cachedSequences: Meter
    let step: Metrics.Timer
    let stepTokens: Recorder
    let firstToken: Metrics.Timer
    let betweenTokens: Metrics.Timer
    let inQueue: Metrics.Timer

    /// Metrics that `registry` records and describes.
    package init(_ registry: PrometheusRegistry) {
        self.registry = registry
        func counter(_ name: String, _ help: String) -> Counter {
            registry.describe(name, help)
            return Counter(label: name, dimensions: [], factory: registry)
        }
        func meter(_ name: String, _ help: String) -> Meter {
            registry.describe(name, help)
            return Meter(label: name, dimensions: [], factory: registry)
        }
        func timer(_ name: String, _ help: String) -> Metrics.Timer {
            registry.describe(name + "_seconds", help)
            return Metrics.Timer(label: name, dimensions: [], factory: registry)
        }
        promptTokens = counter("phi_prompt_tokens_total", "Prompt tokens, reused or prefilled.")
        reusedTokens = counter(
            "phi_prompt_tokens_reused_total", "Prompt tokens reused from the prefix cache or another sequence.")
        completionTokens = counter("phi_completion_tokens_total", "Generated tokens.")
        draftedTokens = counter("phi_drafted_tokens_total", "Tokens computed before they were chosen, by speculation.")
        acceptedTokens = counter("phi_accepted_tokens_total", "Drafted tokens that were then chosen.")
        cancelled = counter("phi_requests_cancelled_total", "Requests whose client closed the connection.")
        timedOut = counter("phi_requests_timed_out_total", "Requests that exceeded the time limit.")
        rejected = counter("phi_requests_rejected_total", "Requests refused because the queue was full.")
        steps = counter("phi_steps_total", "Steps of the engine.")
        running = meter("phi_texts_running", "Sequences that have a slot.")
        waiting = meter("phi_texts_waiting", "Sequences that wait for a slot.")
        cacheBytes = meter("phi_prefix_cache_bytes", "Memory of the prefix cache.")
        directoryBytes = meter("phi_prefix_directory_bytes", "Files of prefixes on disk.")
        cachedSequences = meter("phi_prefix_cache_texts", "Sequences in the prefix cache.")
        step = timer("phi_step", "Duration of a step, for all sequences together.")
        registry.describe("phi_step_tokens", "Tokens computed by a step.")
        stepTokens = Recorder(label: "phi_step_tokens", dimensions: [], aggregate: true, factory: registry)
        firstToken = timer(
            "phi_time_to_first_token", "From a request's arrival to the first token of each of its sequences.")
        betweenTokens = timer("phi_time_between_tokens", "From one token of a sequence to the next.")
        inQueue = timer("phi_time_in_queue", "From a request's arrival until a sequence of it has a slot.")
        registry.describe("phi_http_requests_total", "Responses by path and status.")
        registry.describe("phi_http_request_duration_seconds", "From a request's head to the end of its response.")
    }

    /// Counts a response. `path` is that of an endpoint, so that clients cannot create time series.
    func recordResponse(_ path: String, status: Int, after duration: Duration) {
        let dimensions = [("path", path), ("status", String(status))]
        Counter(label: "phi_http_requests_total", dimensions: dimensions, factory: registry).increment()
        Metrics.Timer(label: "phi_http_request_duration", dimensions: [("path", path)], factory: registry)
            .record(duration: duration)
    }
}
