import CPhiHTTP
import PhiFormat
import PhiSystem
import Synchronization

/// Connections to a host and to those that it redirects to, by libcurl. The token is sent to the first host alone.
package final class HTTPConnection {
    /// What requests are sent to, and how.
    package struct Settings: Sendable {
        /// An address of the first host.
        package let endpoint: String
        /// The variable or option that the endpoint is from, for a fault.
        let source: String
        let token: String?
        /// Seconds that nothing may arrive.
        let patience: Int
        /// A file of trusted certificates instead of the system's.
        let certificates: String?
        /// The header `User-Agent`.
        let agent: String
        /// What to do where libcurl is missing.
        let advice: String

        package init(
            endpoint: String, source: String, token: String?, patience: Int, certificates: String?, agent: String,
            advice: String
        ) {
            (self.endpoint, self.source, self.token, self.patience) = (endpoint, source, token, patience)
            (self.certificates, self.agent, self.advice) = (certificates, agent, advice)
        }
    }

    private let http: OpaquePointer
    private let settings: Settings
    private let origin: String

    /// libcurl's global state is made by one thread at a time.
    private static let opening = Mutex(())

    /// Loads libcurl. Throws ``FormatError`` when it is missing, or when the endpoint is no address of HTTP.
    package init(_ settings: Settings) throws(FormatError) {
        guard let http = Self.opening.withLock({ _ in phi_http_open() }) else {
            throw FormatError("libcurl", "is not installed; \(settings.advice)")
        }
        self.http = http
        self.settings = settings
        guard let origin = Self.origin(of: settings.endpoint, http) else {
            phi_http_close(http)
            throw FormatError(settings.source, "is no address of HTTP: \(settings.endpoint.shown)")
        }
        self.origin = origin
    }

    deinit { phi_http_close(http) }

    /// The status of an answer, the headers that are looked at, by their names in lower case, and the first bytes of what comes
    /// with a refusal.
    package struct Head {
        package fileprivate(set) var status = 0
        fileprivate(set) var headers: [String: String] = [:]
        package fileprivate(set) var refusal: [UInt8] = []

        package subscript(name: String) -> String? { headers[name] }
        package var isSuccess: Bool { status == 200 || status == 206 }
    }

    /// A failure to get an answer.
    package struct Failure: Error {
        package enum Kind { case unknownHost, noConnection, broken, insecure, impossible }
        package let kind: Kind
        package let error: FormatError
    }

    /// Gets what is at `address`, from byte `offset` on, and follows redirects. `body` gets the bytes of a success; those of another
    /// answer are dropped. `seconds` limits the whole answer.
    ///
    /// Throws what `body` throws, ``Failure`` when there is no answer, `CancellationError` when `shouldContinue` returns false, and
    /// ``FormatError`` for redirects that are refused.
    package func get(
        _ address: String, from offset: Int = 0, seconds: Int = 0, while shouldContinue: @escaping () -> Bool,
        _ body: @escaping (Head, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Head {
        var address = address
        let range = offset > 0 ? ["Range: bytes=\(offset)-"] : []
        for _ in 0...10 {
            let exchange = Exchange(shouldContinue, body)
            let (origin, redirect) = try send(exchange, address, range, content: nil, seconds)
            guard (300..<400).contains(exchange.head.status), let redirect else { return exchange.head }
            guard !origin.hasPrefix("https:") || redirect.lowercased().hasPrefix("https:") else {
                throw FormatError(Self.host(of: origin), "redirects to an address without TLS")
            }
            address = redirect
        }
        throw FormatError(settings.endpoint, "redirects without end")
    }

    /// Posts JSON to the endpoint and returns the answer, whose body is empty unless it is a success. Redirects are not followed.
    ///
    /// Throws as ``get(_:from:seconds:while:_:)``, and ``FormatError`` for a body of more than `limit` bytes.
    package func post(
        _ json: [UInt8], seconds: Int, limit: Int, while shouldContinue: @escaping () -> Bool
    ) throws -> (head: Head, body: [UInt8]) {
        var answer: [UInt8] = []
        let exchange = Exchange(shouldContinue) { [host] _, bytes in
            answer += bytes
            guard answer.count <= limit else { throw FormatError(host, "answers with more than \(limit) bytes") }
        }
        do {
            _ = try send(
                exchange, settings.endpoint, ["Content-Type: application/json", "Expect:"], content: json, seconds)
        } catch let failure as Failure {
            // A refusal is one even if what is said about it breaks off.
            guard exchange.head.status >= 400 else { throw failure }
        }
        return (exchange.head, answer)
    }

    /// The seconds from now to the time of the header `Retry-After`, which is a number of them or a date; nil if it is neither.
    package func secondsToWait(_ head: Head) -> Double? {
        guard let text = head["retry-after"] else { return nil }
        if let seconds = Double(text) { return seconds.isFinite ? seconds : nil }
        let date = phi_http_date(http, text)
        return date < 0 ? nil : Double(date) - Double(time(nil))
    }

    /// Sends a request, and returns the origin of its address and the one that the answer redirects to.
    private func send(
        _ exchange: Exchange, _ address: String, _ headers: [String], content: [UInt8]?, _ seconds: Int
    ) throws -> (origin: String, redirect: String?) {
        guard let origin = Self.origin(of: address, http) else {
            throw FormatError(settings.endpoint, "leads to no address of HTTP")
        }
        var lines = ["User-Agent: \(settings.agent)", "Accept-Encoding: identity"] + headers
        if let token = settings.token, origin == self.origin { lines.append("Authorization: Bearer \(token)") }
        let redirect = try exchange.run(
            http, address, lines, content: content, settings, seconds: seconds, host: Self.host(of: origin))
        return (origin, redirect)
    }

    /// The host that an endpoint names, for people.
    package var host: String { Self.host(of: origin) }

    /// `https://huggingface.co:443` is `huggingface.co`.
    private static func host(of origin: String) -> String {
        let name = String(origin[(origin.firstRange(of: "://")?.upperBound ?? origin.startIndex)...])
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")]
        where origin.hasPrefix(scheme) && name.hasSuffix(port) {
            return String(name.dropLast(port.count))
        }
        return name
    }

    private static func origin(of address: String, _ http: OpaquePointer) -> String? {
        var bytes = [CChar](repeating: 0, count: 1024)
        guard !address.utf8.contains(0), phi_http_origin(http, address, &bytes, bytes.count) else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A request and its answer, as the callbacks of the C module see them.
private final class Exchange {
    private(set) var head = HTTPConnection.Head()
    private let shouldContinue: () -> Bool
    private let body: (HTTPConnection.Head, UnsafeRawBufferPointer) throws -> Void
    private var host = ""
    private var headerBytes = 0
    private var droppedBytes = 0
    private var failure: (any Error)?
    private var isEnough = false

    private static let known: Set<String> = [
        "content-length", "content-range", "retry-after", "x-error-code", "x-error-message",
    ]
    private static let mostHeaderBytes = 1 << 18
    private static let mostDroppedBytes = 1 << 16
    private static let mostRefusalBytes = 300

    init(
        _ shouldContinue: @escaping () -> Bool,
        _ body: @escaping (HTTPConnection.Head, UnsafeRawBufferPointer) throws -> Void
    ) {
        self.shouldContinue = shouldContinue
        self.body = body
    }

    /// Sends the request and returns the address that the answer redirects to.
    func run(
        _ http: OpaquePointer, _ address: String, _ lines: [String], content: [UInt8]?,
        _ settings: HTTPConnection.Settings, seconds: Int, host: String
    ) throws -> String? {
        self.host = host
        let strings = ([address] + lines + (settings.certificates.map { [$0] } ?? [])).map { strdup($0) }
        defer { for string in strings { free(string) } }
        let headers = strings[1...lines.count].map { UnsafePointer($0) } + [nil]
        func send(
            _ headers: UnsafeBufferPointer<UnsafePointer<CChar>?>, _ content: UnsafeRawBufferPointer?
        ) -> phi_http_answer {
            var request = phi_http_request()
            request.url = UnsafePointer(strings[0])
            request.headers = headers.baseAddress
            request.content = content?.baseAddress
            request.content_size = content?.count ?? 0
            request.certificates = settings.certificates == nil ? nil : strings.last.flatMap { UnsafePointer($0) }
            request.patience = settings.patience
            request.limit = seconds
            request.context = Unmanaged.passUnretained(self).toOpaque()
            request.header = { context, line, length in
                Exchange.of(context).take(header: UnsafeRawBufferPointer(start: line, count: length))
            }
            request.body = { context, bytes, length in
                Exchange.of(context).take(body: UnsafeRawBufferPointer(start: bytes, count: length))
            }
            request.should_continue = { context in Exchange.of(context).shouldContinue() }
            return phi_http_send(http, &request)
        }
        let answer = headers.withUnsafeBufferPointer { headers in
            content.map { $0.withUnsafeBytes { send(headers, $0) } } ?? send(headers, nil)
        }
        if let failure { throw failure }
        if isEnough { return answer.redirect.map { String(cString: $0) } }
        func fails(_ kind: HTTPConnection.Failure.Kind, _ fault: String) -> HTTPConnection.Failure {
            HTTPConnection.Failure(kind: kind, error: FormatError(host, fault))
        }
        let message = String(answer.message.map { String(cString: $0).prefix(200) } ?? "")
        switch answer.outcome {
        case PHI_HTTP_DONE: return answer.redirect.map { String(cString: $0) }
        case PHI_HTTP_STOPPED: throw CancellationError()
        case PHI_HTTP_UNKNOWN_HOST: throw fails(.unknownHost, "has no known address (\(message)); check the network")
        case PHI_HTTP_NO_CONNECTION:
            throw fails(.noConnection, "cannot be connected to (\(message)); check the network")
        case PHI_HTTP_BROKEN: throw fails(.broken, "the connection broke (\(message))")
        case PHI_HTTP_INSECURE:
            let advice = "SSL_CERT_FILE names a file of trusted certificates"
            throw fails(.insecure, "no secure connection (\(message)); \(advice)")
        default: throw fails(.impossible, "cannot be asked (\(message))")
        }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> Exchange {
        guard let context else { preconditionFailure("the request has a context") }
        return Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
    }

    private func take(header line: UnsafeRawBufferPointer) -> Bool {
        headerBytes += line.count
        guard headerBytes <= Self.mostHeaderBytes else {
            failure = FormatError(host, "sends more than \(Self.mostHeaderBytes) bytes of headers")
            return false
        }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            head = HTTPConnection.Head()
            let status = text.split(separator: " ").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) }
            head.status = status ?? 0
        } else if let colon = text.firstIndex(of: ":") {
            let name = text[..<colon].lowercased()
            if Self.known.contains(name) {
                head.headers[name] = String(
                    text[text.index(after: colon)...].drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }
                        .reversed())
            }
        }
        return true
    }

    private func take(body bytes: UnsafeRawBufferPointer) -> Bool {
        guard head.isSuccess else {
            droppedBytes += bytes.count
            head.refusal += bytes.prefix(Self.mostRefusalBytes - head.refusal.count)
            isEnough = droppedBytes > Self.mostDroppedBytes
            return !isEnough
        }
        do {
            try body(head, bytes)
            return true
        } catch {
            failure = error
            return false
        }
    }
}
