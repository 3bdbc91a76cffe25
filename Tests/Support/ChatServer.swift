import Foundation
import Synchronization

/// A stand-in of an OpenAI-compatible server on this machine, which keeps the requests that it gets.
///
///     let server = try ChatServer { number, body in number == 0 ? .init(status: 503) : .completion("Yes.") }
///     ...  server.url, server.requests
package final class ChatServer: Sendable {
    package struct Request: Sendable {
        /// The first line and the headers.
        package let head: String
        package let body: [UInt8]

        package func json() throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] ?? [:]
        }
    }

    package struct Answer: Sendable {
        var status = 200
        var headers: [String: String] = [:]
        var body = ""
        /// Whether the connection ends before the whole body was sent.
        var breaksOff = false

        package init(status: Int = 200, headers: [String: String] = [:], body: String = "", breaksOff: Bool = false) {
            (self.status, self.headers, self.body, self.breaksOff) = (status, headers, body, breaksOff)
        }

        /// A chat completion with this content.
        package static func completion(_ content: String, finish: String = "stop") -> Answer {
            let choice: [String: Any] = ["index": 0, "finish_reason": finish, "message": ["content": content]]
            let data = (try? JSONSerialization.data(withJSONObject: ["choices": [choice]])) ?? Data()
            return Answer(body: String(decoding: data, as: UTF8.self))
        }
    }

    package let port: Int
    package var url: String { "http://127.0.0.1:\(port)" }
    package var requests: [Request] { kept.withLock { $0 } }
    private let kept = Mutex<[Request]>([])
    private let listener: Int32
    private let answer: @Sendable (Int, Request) -> Answer

    /// `answer` is called with the number of a request, from 0, by the threads of several connections.
    package init(_ answer: @escaping @Sendable (Int, Request) -> Answer) throws {
        self.answer = answer
        let listener = streamSocket()
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = fcntl(listener, F_SETFD, FD_CLOEXEC)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bytes in
                bind(listener, bytes, size) == 0 && listen(listener, 64) == 0
                    ? getsockname(listener, bytes, &size) : -1
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard code == 0 else { throw SystemFault("bind") }
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                Thread.detachNewThread { [weak self] in
                    self?.serve(connection)
                    Foundation.close(connection)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// Answers one request.
    private func serve(_ connection: Int32) {
        var bytes: [UInt8] = []
        func read() -> Bool {
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            let count = recv(connection, &piece, piece.count, 0)
            bytes += piece.prefix(max(0, count))
            return count > 0
        }
        var end = bytes.firstRange(of: Array("\r\n\r\n".utf8))
        // 0x16 begins a connection by TLS, which is refused by closing it, as servers without TLS do.
        while end == nil, bytes.first != 0x16, read() { end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) }
        guard let end else { return }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let length = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
        while bytes.count - end.upperBound < length ?? 0, read() {}
        let request = Request(head: head, body: Array(bytes[end.upperBound...]))
        let number = kept.withLock { kept in
            kept.append(request)
            return kept.count - 1
        }
        let answer = answer(number, request)
        let size = answer.body.utf8.count + (answer.breaksOff ? 9 : 0)
        let headers = answer.headers.map { "\($0.key): \($0.value)\r\n" }.joined()
        let text =
            "HTTP/1.1 \(answer.status) Said\r\nContent-Length: \(size)\r\nConnection: close\r\n\(headers)\r\n\(answer.body)"
        var left = Array(text.utf8)[...]
        while !left.isEmpty {
            let sent = left.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, noSignal) }
            guard sent > 0 else { return }
            left = left.dropFirst(sent)
        }
    }
}
