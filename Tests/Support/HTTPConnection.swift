import Foundation

/// A connection to a server on this machine, byte by byte: tests send what no well-behaved client would.
package final class HTTPConnection {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isClosed = false
    /// Microseconds that it waits after each piece that it reads, of 64 KB at most.
    package var pause: UInt32 = 0

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        package init(description: String) { self.description = description }
    }

    /// Status and headers of a response.
    package struct Head {
        package let status: Int
        /// By lower-case names.
        package let headers: [String: String]
    }

    package struct Answer {
        package let head: Head
        package let body: [UInt8]
        package var status: Int { head.status }
        package var text: String { String(decoding: body, as: UTF8.self) }

        package func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(body))
        }
    }

    package init(port: Int, seconds: Int = 60) throws {
        descriptor = streamSocket()
        guard descriptor >= 0 else { throw SystemFault("socket") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard code == 0 else {
            Foundation.close(descriptor)
            isClosed = true
            throw SystemFault("connect")
        }
    }

    deinit { close() }

    package func close() {
        if !isClosed { Foundation.close(descriptor) }
        isClosed = true
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, noSignal) }
            guard count > 0 else { throw SystemFault("send") }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends a request; a body is said to be JSON unless the headers say something else.
    package func send(
        _ method: String, _ path: String, _ body: [UInt8]? = nil, headers: [String: String] = [:]
    ) throws {
        var all = ["Host": "127.0.0.1"]
        if let body {
            all["Content-Type"] = "application/json"
            all["Content-Length"] = "\(body.count)"
        }
        all.merge(headers) { _, new in new }
        let lines = all.map { "\($0.key): \($0.value)\r\n" }.joined()
        try send(Array("\(method) \(path) HTTP/1.1\r\n\(lines)\r\n".utf8) + (body ?? []))
    }

    package func readHead() throws -> Head {
        let lines = try read(through: "\r\n\r\n").split(separator: "\r\n")
        let first = (lines.first ?? "").split(separator: " ")
        guard first.count >= 2, let status = Int(first[1]) else { throw Failure(description: "no status: \(lines)") }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            headers[pair[0].lowercased()] = pair.count > 1 ? pair[1] : ""
        }
        return Head(status: status, headers: headers)
    }

    /// Reads a whole answer.
    package func readAnswer() throws -> Answer {
        let head = try readHead()
        if let length = head.headers["content-length"].flatMap({ Int($0) }) {
            return Answer(head: head, body: try read(length))
        }
        var body: [UInt8] = []
        while let chunk = try readChunk() { body += chunk }
        return Answer(head: head, body: body)
    }

    /// All that comes until the server closes the connection.
    package func readToEnd() throws -> String {
        while !isAtEnd { try fill(canEnd: true) }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }
    private var isAtEnd = false

    /// The next piece of an answer in pieces; nil at its end.
    package func readChunk() throws -> [UInt8]? {
        // A line break of two bytes is one character.
        let line = try read(through: "\r\n").dropLast()
        guard let count = Int(line, radix: 16) else { throw Failure(description: "no chunk size: \(line)") }
        let chunk = try read(count)
        _ = try read(2)
        return count == 0 ? nil : chunk
    }

    /// The next event of a stream; nil at its end.
    package func readEvent() throws -> String? {
        while true {
            if let end = events.firstRange(of: Array("\n\n".utf8)) {
                let event = String(decoding: events[..<end.lowerBound], as: UTF8.self)
                events.removeSubrange(..<end.upperBound)
                return event.hasPrefix("data: ") ? String(event.dropFirst(6)) : event
            }
            guard let chunk = try readChunk() else { return nil }
            events += chunk
        }
    }
    private var events: [UInt8] = []

    private func read(through mark: String) throws -> String {
        let mark = Array(mark.utf8)
        while true {
            if let end = buffer.firstRange(of: mark) {
                defer { buffer.removeSubrange(..<end.upperBound) }
                return String(decoding: buffer[..<end.upperBound], as: UTF8.self)
            }
            try fill()
        }
    }

    /// The next bytes.
    package func read(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { try fill() }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func fill(canEnd: Bool = false) throws {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        var count = 0
        // A process that was stopped and goes on finds its call interrupted.
        repeat { count = recv(descriptor, &piece, piece.count, 0) } while count < 0 && errno == EINTR
        guard count >= 0 else { throw SystemFault("recv") }
        if pause > 0 { usleep(pause) }
        isAtEnd = count == 0
        guard count > 0 || canEnd else { throw Failure(description: "the connection was closed") }
        buffer += piece[..<count]
    }
}

#if canImport(Darwin)
    let noSignal: Int32 = 0
#else
    let noSignal = Int32(MSG_NOSIGNAL)
#endif
