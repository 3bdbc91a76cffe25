import CoreMetrics
import Metrics

/// What the server counts. Names and units follow Prometheus' conventions.
public struct ServerMetrics: Sendable {
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
    let cachedTexts: Meter
    let step: Metrics.Timer
    let stepRows: Recorder
    let firstToken: Metrics.Timer
    let betweenTokens: Metrics.Timer
    let inQueue: Metrics.Timer

    /// Metrics that `factory` keeps.
    public init(factory: any MetricsFactory) {
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
        cachedTexts = meter("phi_prefix_cache_texts")
        step = timer("phi_step")
        stepRows = Recorder(label: "phi_step_tokens", dimensions: [], aggregate: true, factory: factory)
        firstToken = timer("phi_time_to_first_token")
        betweenTokens = timer("phi_time_between_tokens")
        inQueue = timer("phi_time_in_queue")
    }

    /// Counts an answered request. `path` is one of the server's own, so that strangers cannot make up series.
    func answered(_ path: String, status: Int, after duration: Duration) {
        Counter(
            label: "phi_http_requests_total", dimensions: [("path", path), ("status", String(status))], factory: factory
        ).increment()
        Metrics.Timer(label: "phi_http_request_duration", dimensions: [("path", path)], factory: factory)
            .record(duration: duration)
    }

    /// What the metrics are about, for ``PrometheusRegistry``.
    public static let help = [
        "phi_prompt_tokens_total": "Tokens of prompts that were read, from the prefix cache or by the model.",
        "phi_prompt_tokens_reused_total": "Tokens of prompts that the prefix cache had.",
        "phi_completion_tokens_total": "Tokens that were made.",
        "phi_requests_cancelled_total": "Requests whose client went away.",
        "phi_requests_timed_out_total": "Requests that ran out of time.",
        "phi_requests_rejected_total": "Requests that found the queue full.",
        "phi_steps_total": "Steps of the engine.",
        "phi_texts_running": "Texts in the making.",
        "phi_texts_waiting": "Texts that wait for a slot.",
        "phi_prefix_cache_bytes": "Memory that the keys and values of finished texts take.",
        "phi_prefix_cache_texts": "Finished texts whose keys and values are kept.",
        "phi_step_seconds": "Time of a step, for all texts together.",
        "phi_step_tokens": "Tokens that a step takes.",
        "phi_time_to_first_token_seconds": "From a request's arrival to each of its texts' first token.",
        "phi_time_between_tokens_seconds": "From a text's token to its next.",
        "phi_time_in_queue_seconds": "From a request's arrival until a text of it has a slot.",
        "phi_http_requests_total": "Answers by path and status.",
        "phi_http_request_duration_seconds": "From a request's head to the end of its answer.",
    ]
}
