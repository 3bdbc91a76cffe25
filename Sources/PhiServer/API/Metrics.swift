import Hummingbird

extension Endpoints {
    /// `GET /metrics`: all metrics in the text format of Prometheus.
    func prometheusMetrics(_ request: Request, _ context: PhiRequestContext) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: registry.text)))
    }
}
