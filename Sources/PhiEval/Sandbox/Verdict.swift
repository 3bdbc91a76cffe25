/// The outcome of a program; ``Harness`` says what `passed` is evidence of.
package enum Verdict: Sendable, Equatable {
    /// The checks ran to their last statement.
    case passed
    /// A check failed; the text of the assertion.
    case failed(String)
    /// The program exceeded its time.
    case timeout
    /// Another exception than an assertion's, or an exit before the last check.
    case error(String)

    package var isPassed: Bool { self == .passed }

    /// The name in JSON, which is stable: `passed`, `failed`, `timeout` or `error`.
    package var name: String {
        switch self {
        case .passed: "passed"
        case .failed: "failed"
        case .timeout: "timeout"
        case .error: "error"
        }
    }

    /// The assertion or the error; empty if there is none.
    package var detail: String {
        switch self {
        case .passed, .timeout: ""
        case .failed(let detail), .error(let detail): detail
        }
    }
}
