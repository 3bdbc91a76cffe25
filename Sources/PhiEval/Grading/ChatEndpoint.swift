import PhiFormat
import PhiHTTP
import PhiJSON
import PhiSystem

/// A language model behind an OpenAI-compatible server. A request that fails for a reason that may pass is repeated by the rules of
/// `Tools/phitools/data/endpoint.py`.
package struct ChatEndpoint: Sendable {
    /// The environment variable with the server's key, which thus appears in no command line.
    package static let keyVariable = "PHITOOLS_API_KEY"

    /// The name of the model.
    package let model: String
    private let settings: HTTPConnection.Settings
    private let tries: Int
    /// Seconds before the second try; doubled for each further one, at most a minute.
    private let pause: Double
    private let notice: @Sendable (String) -> Void

    /// `url` is one of ``address(_:)``. `notice` takes a line for people before a request is repeated. Throws ``FormatError`` when the key
    /// cannot be sent, the URL is none of HTTP, or libcurl is missing.
    package init(
        _ url: String, model: String, key: String?, agent: String, tries: Int = 6, pause: Double = 1,
        notice: @escaping @Sendable (String) -> Void
    ) throws(FormatError) {
        guard key?.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) ?? true else {
            throw FormatError(Self.keyVariable, "holds characters that a key does not have")
        }
        (self.model, self.tries, self.pause, self.notice) = (model, tries, pause, notice)
        settings = HTTPConnection.Settings(
            endpoint: Self.address(url), source: "--endpoint", token: key, patience: 120,
            certificates: environment("SSL_CERT_FILE"),
            agent: agent, advice: "grading needs it; install it (Debian: libcurl4)")
        _ = try HTTPConnection(settings)
    }

    /// The URL of requests. `url` may be that of chat completions, which is taken as it is, or what precedes it; where no part of its path
    /// names a version, as `v1` or `v1beta`, and it has no query, `/v1` is added. A query stays at the end.
    package static func address(_ url: String) -> String {
        let end = url.firstIndex(of: "#") ?? url.endIndex
        let mark = url[..<end].firstIndex(of: "?") ?? end
        let query = url[mark..<end]
        var base = url[..<mark]
        while base.hasSuffix("/") { base.removeLast() }
        if base.hasSuffix("/chat/completions") { return "\(base)\(query)" }
        let place = base.firstRange(of: "://").map { base[$0.upperBound...] } ?? base
        let isVersioned = place.split(separator: "/").dropFirst().contains { part in
            part.first == "v" && (0x30...0x39).contains(part.utf8.dropFirst().first ?? 0)
        }
        return "\(base)\(isVersioned || !query.isEmpty ? "" : "/v1")/chat/completions\(query)"
    }

    /// The fault that keeps a connection from being made; nil if there is one, or if that cannot be told in `seconds`. What the server
    /// answers does not matter. Throws `CancellationError` when `shouldContinue` returns false.
    package func connectionFault(
        seconds: Int = 10, while shouldContinue: @escaping () -> Bool
    ) throws(CancellationError) -> FormatError? {
        do {
            let connection = try HTTPConnection(settings)
            _ = try connection.get(settings.endpoint, seconds: seconds, while: shouldContinue) { _, _ in }
        } catch let failure as HTTPConnection.Failure where failure.kind != .broken {
            return failure.error
        } catch let error as CancellationError {
            throw error
        } catch {}
        return nil
    }

    /// The text that the model answers to a request; nil if it is not whole: cut off, refused or empty.
    ///
    /// Throws ``FormatError`` when the tries are used up, or at once for a fault that another try won't mend, and `CancellationError`
    /// when `shouldContinue` returns false.
    func ask(_ request: [UInt8], while shouldContinue: @escaping () -> Bool) throws -> String? {
        let connection = try HTTPConnection(settings)
        for number in 1... {
            var fault = "not a chat completion"
            var wait = min(60, pause * Double(1 << (number - 1))) * Double.random(in: 0.75...1.25)
            do {
                let (head, body) = try connection.post(request, seconds: 120, limit: 4 << 20, while: shouldContinue)
                if head.status == 200 {
                    let answer = try? JSONText.decode(Answer.self, from: body, of: settings.endpoint)
                    if let choice = answer?.choices.first { return choice.text }
                } else {
                    let said = String(decoding: head.refusal, as: UTF8.self).split(whereSeparator: \.isWhitespace)
                    fault = "HTTP \(head.status)" + (said.isEmpty ? "" : ": " + said.joined(separator: " "))
                    guard Self.passing.contains(head.status) else { throw FormatError(settings.endpoint, fault) }
                    wait = max(wait, min(600, connection.secondsToWait(head) ?? 0))
                }
            } catch let failure as HTTPConnection.Failure {
                guard ![.insecure, .impossible].contains(failure.kind) else { throw failure.error }
                fault = failure.error.fault
            }
            guard number < tries else {
                let kept = "the grades so far are kept, run again to go on"
                throw FormatError(settings.endpoint, "\(fault) (\(tries) tries); \(kept)")
            }
            notice("\(settings.endpoint): \(fault); try \(number + 1) of \(tries) in \(Int(wait.rounded())) s")
            try Self.sleep(wait, while: shouldContinue)
        }
        return nil
    }

    /// HTTP statuses that may pass.
    private static let passing: Set = [408, 409, 425, 429, 500, 502, 503, 504, 529]

    private static func sleep(_ seconds: Double, while shouldContinue: () -> Bool) throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            guard shouldContinue() else { throw CancellationError() }
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else { return }
            usleep(left > .milliseconds(100) ? 100_000 : 10_000)
        }
    }
}

/// A chat completion, as far as it is looked at.
private struct Answer: Decodable {
    struct Choice: Decodable {
        struct Message: Decodable { let content: String? }
        let message: Message
        let finish_reason: String?

        /// Its text; nil if it is empty, or if the limit of tokens ended it.
        var text: String? {
            finish_reason == "length" ? nil : message.content.flatMap { $0.isEmpty ? nil : $0 }
        }
    }

    let choices: [Choice]
}
