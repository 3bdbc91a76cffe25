/// Limits of a request.
package struct RequestLimits: Sendable {
    /// Bytes of a body.
    package var bodyBytes = 1 << 20
    /// Sequences that one request may generate, prompts times choices.
    package var sequences = 128
    /// Most likely tokens that may be asked for at each place.
    package var logProbabilities = 20
    /// Log-probabilities of all tokens of a response together; each takes some hundred bytes until it is sent.
    package var logProbabilitiesInAll = 1 << 19
    /// Stop strings.
    package var stops = 64
    /// Bytes of a stop string.
    package var stopBytes = 1024
    /// Duration of a request, its time in the queue included.
    package var time = Duration.seconds(600)
    /// How long a body may take to arrive.
    package var bodyTime = Duration.seconds(60)
    /// How long a client may take to read what is sent to it.
    package var readTime = Duration.seconds(60)
    /// Whether requests with unknown fields are refused.
    package var isStrict = false

    /// The defaults.
    package init() {}
}
