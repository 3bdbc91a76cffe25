/// How a program did.
public enum Verdict: Sendable, Equatable {
    /// It ran to its end, all checks included.
    case passed
    /// A check failed; the text of the assertion.
    case failed(String)
    /// It did not end in time.
    case timeout
    /// Something else went wrong: an exception that is not an assertion's, or an end before the checks' end.
    case error(String)

    /// Whether it passed.
    public var isPassed: Bool { self == .passed }

    /// The name, which does not change: `passed`, `failed`, `timeout` or `error`.
    public var name: String {
        switch self {
        case .passed: "passed"
        case .failed: "failed"
        case .timeout: "timeout"
        case .error: "error"
        }
    }

    /// What there is to say beyond the name.
    public var detail: String {
        switch self {
        case .passed, .timeout: ""
        case .failed(let detail), .error(let detail): detail
        }
    }
}
