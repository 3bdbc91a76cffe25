import CoreMetrics
import Metrics

/// The server's metrics. Names and units follow Prometheus' conventions.
package struct ServerMetrics: Sendable {
    private let factory: any MetricsFactory
    let promptTokens: Counter
    let reusedTokens: Counter
    let completionTokens: Counter
    let cancelled: Counter
    let timedOut: Counter
    let rejected: Counter
    let steps: Counter
    let running: Meter
    let waiting: Meter
    let cacheBytes: Meter
    let cachedSequences: Meter
    let step: Metrics.Timer
    let stepTokens: Recorder
    let firstToken: Metrics.Timer
    let betweenTokens: Metrics.Timer
    let inQueue: Metrics.Timer

    /// Metrics that `factory` records.
    package init(factory: any MetricsFactory) {
        self.factory = factory
        func counter(_ name: String) -> Counter { Counter(label: name, dimensions: [], factory: factory) }
        func meter(_ name: String) -> Meter { Meter(label: name, dimensions: [], factory: factory) }
        func timer(_ name: String) -> Metrics.Timer { Metrics.Timer(label: name, dimensions: [], factory: factory) }
        promptTokens = counter("phi_prompt_tokens_total")
        reusedTokens = counter("phi_prompt_tokens_reused_total")
        completionTokens = counter("phi_completion_tokens_total")
        cancelled = counter("phi_requests_cancelled_total")
        timedOut = counter("phi_requests_timed_out_total")
        rejected = counter("phi_requests_rejected_total")
        steps = counter("phi_steps_total")
        running = meter("phi_texts_running")
        waiting = meter("phi_texts_waiting")
        cacheBytes = meter("phi_prefix_cache_bytes")
        cachedSequences = meter("phi_prefix_cache_texts")
        step = timer("phi_step")
        stepTokens = Recorder(label: "phi_step_tokens", dimensions: [], aggregate: true, factory: factory)
        firstToken = timer("phi_time_to_first_token")
        betweenTokens = timer("phi_time_between_tokens")
        inQueue = timer("phi_time_in_queue")
    }

    /// Counts a response. `path` is that of an endpoint, so that clients cannot create time series.
    func recordResponse(_ path: String, status: Int, after duration: Duration) {
        Counter(
            label: "phi_http_requests_total", dimensions: [("path", path), ("status", String(status))], factory: factory
        ).increment()
        Metrics.Timer(label: "phi_http_request_duration", dimensions: [("path", path)], factory: factory)
            .record(duration: duration)
    }

    /// The help texts for ``PrometheusRegistry``, by metric.
    package static let help = [
        "phi_prompt_tokens_total": "Prompt tokens, reused or prefilled.",
        "phi_prompt_tokens_reused_total": "Prompt tokens reused from the prefix cache or another sequence.",
        "phi_completion_tokens_total": "Generated tokens.",
        "phi_requests_cancelled_total": "Requests whose client closed the connection.",
        "phi_requests_timed_out_total": "Requests that exceeded the time limit.",
        "phi_requests_rejected_total": "Requests refused because the queue was full.",
        "phi_steps_total": "Steps of the engine.",
        "phi_texts_running": "Sequences that have a slot.",
        "phi_texts_waiting": "Sequences that wait for a slot.",
        "phi_prefix_cache_bytes": "Memory of the prefix cache.",
        "phi_prefix_cache_texts": "Sequences in the prefix cache.",
        "phi_step_seconds": "Duration of a step, for all sequences together.",
        "phi_step_tokens": "Tokens computed by a step.",
        "phi_time_to_first_token_seconds": "From a request's arrival to the first token of each of its sequences.",
        "phi_time_between_tokens_seconds": "From one token of a sequence to the next.",
        "phi_time_in_queue_seconds": "From a request's arrival until a sequence of it has a slot.",
        "phi_http_requests_total": "Responses by path and status.",
        "phi_http_request_duration_seconds": "From a request's head to the end of its response.",
    ]
}
