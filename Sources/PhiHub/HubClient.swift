import PhiFormat
import PhiHTTP
import PhiSystem

/// What a download tells and asks its caller.
package struct DownloadObserver {
    /// Whether to go on; asked at least once a second.
    package let shouldContinue: () -> Bool
    /// Takes a line for people.
    package let notice: (String) -> Void
    package let progress: (DownloadProgress) -> Void

    package init(
        shouldContinue: @escaping () -> Bool, notice: @escaping (String) -> Void,
        progress: @escaping (DownloadProgress) -> Void
    ) {
        self.shouldContinue = shouldContinue
        self.notice = notice
        self.progress = progress
    }

    /// Waits. Throws `CancellationError` when ``shouldContinue`` returns false.
    func pause(milliseconds: Int) throws {
        for _ in 0..<max(1, milliseconds / 100) {
            guard shouldContinue() else { throw CancellationError() }
            usleep(100_000)
        }
    }
}

/// Requests to the hub's interface, with their refusals, and repeated while a fault may pass.
struct HubClient {
    let settings: HubSettings
    let connection: HTTPConnection
    let observer: DownloadObserver

    /// The hub gave no answer, or none that says anything about the repository.
    struct Unreachable: Error {
        let error: FormatError
    }

    /// A fault that may pass.
    private struct Passing: Error {
        let error: FormatError
        var wait: Int?
        var hasProgressed = false
    }

    /// The files of a repository. Throws ``Unreachable``, or ``FormatError`` when the hub refuses.
    func listing(_ id: ModelID, _ revision: Revision) throws -> RepositoryListing {
        let address =
            "\(settings.endpoint)/api/models/\(id)/revision/\(percentEncoded(revision.description))?blobs=true"
        do {
            return try repeating {
                var answer: [UInt8] = []
                let head: HTTPConnection.Head
                do {
                    head = try connection.get(address, seconds: 300, while: observer.shouldContinue) { _, bytes in
                        answer += bytes
                        guard answer.count <= 16 << 20 else {
                            throw FormatError(connection.host, "sends a list of files without end")
                        }
                    }
                } catch let failure as HTTPConnection.Failure {
                    guard failure.kind == .broken else { throw Unreachable(error: failure.error) }
                    throw Passing(error: failure.error)
                }
                guard head.status == 200 else { throw refusal(head, id, revision, nil) }
                do throws(FormatError) {
                    return try RepositoryListing(answer, from: connection.host)
                } catch {
                    let fault = "does not answer as a hub does: \(error.fault)"
                    throw Unreachable(error: FormatError(connection.host, fault))
                }
            }
        } catch let passing as Passing {
            throw Unreachable(error: passing.error)
        }
    }

    /// Appends to `part` what it lacks of `file`; `arrived` is called as it grows, and in between. Throws ``FormatError``, or ``PartialFile/Mismatch`` when the
    /// content cannot become what the hub says it is.
    func fetch(
        _ file: KnownFile, of id: ModelID, commit: String, to part: PartialFile, arrived: @escaping () -> Void
    ) throws {
        let address = "\(settings.endpoint)/\(id)/resolve/\(commit)/\(percentEncoded(file.name))"
        do {
            try repeating {
                if part.size < file.size { try fetchOnce(file, address, of: id, commit, to: part, arrived) }
            }
        } catch let passing as Passing {
            throw FormatError(
                id.description,
                "\(passing.error.fault) (\(passing.error.file)); run again, which goes on where this ended")
        }
    }

    private func fetchOnce(
        _ file: KnownFile, _ address: String, of id: ModelID, _ commit: String, to part: PartialFile,
        _ arrived: @escaping () -> Void
    ) throws {
        let start = part.size
        var isFirst = true
        func goesOn() -> Bool {
            arrived()
            return observer.shouldContinue()
        }
        func hasProgressed() -> Bool { part.size > start }
        let head: HTTPConnection.Head
        do {
            head = try connection.get(address, from: start, while: goesOn) { head, bytes in
                if isFirst {
                    isFirst = false
                    try check(head, file, id, isAt: part.size)
                    if head.status == 200 { try part.restart() }  // the server sends all of it
                }
                try part.append(bytes)
                arrived()
            }
        } catch let failure as HTTPConnection.Failure {
            guard ![.insecure, .impossible].contains(failure.kind) else { throw failure.error }
            throw Passing(error: failure.error, hasProgressed: hasProgressed())
        }
        if head.status == 416, part.size > 0 {
            try part.restart()
            throw Passing(error: FormatError(connection.host, "has no such part of \(file.name.shown)"))
        }
        guard head.isSuccess else { throw refusal(head, id, Revision(commit), file.name) }
        if isFirst { try check(head, file, id, isAt: part.size) }
        if part.size < file.size {
            let error = FormatError(connection.host, "ended \(file.name.shown) early")
            throw Passing(error: error, hasProgressed: hasProgressed())
        }
    }

    /// Checks that the bytes that begin here are those of the file at `offset`, or all of them.
    private func check(
        _ head: HTTPConnection.Head, _ file: KnownFile, _ id: ModelID, isAt offset: Int
    ) throws(FormatError) {
        let range = ContentRange(head["content-range"])
        let length = head["content-length"].flatMap { Int($0) }
        if head.status == 206, range?.start != offset {
            throw FormatError(connection.host, "sends another part of \(file.name.shown) than was asked for")
        }
        if let size = head.status == 206 ? range?.size : length, size != file.size {
            throw FormatError(
                id.description, "\(file.name.shown) has \(size) bytes, not \(file.size) as the list of files says")
        }
    }

    /// Repeats `work`, after waits of 1, 2, 4 and 8 seconds or as long as the hub says, while it throws ``Passing``.
    private func repeating<Result>(_ work: () throws -> Result) throws -> Result {
        var failures = 0
        while true {
            do {
                return try work()
            } catch let passing as Passing {
                failures = passing.hasProgressed ? 1 : failures + 1
                let seconds = passing.wait ?? 1 << (failures - 1)
                guard failures < 5, seconds <= Self.longestWait else { throw passing }
                observer.notice("\(passing.error); trying again in \(seconds) s")
                try observer.pause(milliseconds: seconds * 1000)
            }
        }
    }

    private static let longestWait = 300

    /// The error for an answer that is no success, in a line that says what to do.
    private func refusal(
        _ head: HTTPConnection.Head, _ id: ModelID, _ revision: Revision?, _ file: String?
    ) -> any Error {
        let host = connection.host
        let page = "\(settings.endpoint)/\(id)"
        let login = "set HF_TOKEN, or run `hf auth login`"
        let token = settings.token?.source
        func refused(_ fault: String) -> FormatError { FormatError(id.description, fault) }
        let said = head["x-error-message"].map { ": " + $0.shown } ?? ""
        switch (head.status, head["x-error-code"] ?? "") {
        case (429, _), (408, _), (500..., _):
            let wait = connection.secondsToWait(head).map { Int(min(max($0.rounded(.up), 1), 1e6)) }
            let fault = head.status == 429 ? "has had too many requests (429)" : "answers with status \(head.status)"
            let advice = wait.map { "; wait \($0) s" } ?? ""
            return Passing(error: FormatError(host, fault + said + advice), wait: wait)
        case (_, "GatedRepo"):
            return refused(
                token.map { "is gated, and the account of the token in \($0) has no access; ask for it on \(page)" }
                    ?? "is gated; accept its terms on \(page), then \(login)")
        case (404, "RevisionNotFound"):
            return refused("has no revision \((revision?.description ?? "").shown)")
        case (404, "EntryNotFound"),
            (404, "") where file != nil:
            return refused("has no file \((file ?? "").shown)")
        case (401, _) where said.contains("Invalid credentials"):
            return refused(
                "\(host) rejects the token in \(token ?? "the request"); make another on \(settings.endpoint)/settings/tokens"
            )
        case (401, _), (404, _):
            return refused(
                "no such file or directory, and \(host) has no such model"
                    + (token.map { ", or none that the token in \($0) may see" }
                        ?? ", or a private one; for that, \(login)"))
        case (403, _):
            return refused(
                "\(host) forbids it\(said); " + (token.map { "the token in \($0) may lack a permission" } ?? login))
        case (200, _), (206, _): return refused("\(host) sends a part of what was asked for")
        default: return FormatError(host, "answers with status \(head.status)\(said)")
        }
    }
}

/// The header `Content-Range: bytes 100-199/200`.
package struct ContentRange: Equatable {
    package let start: Int
    /// Of the whole file, if the server says it.
    package let size: Int?

    package init?(_ text: String?) {
        guard let text, text.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let start = Int(parts[0].prefix { $0 != "-" }), start >= 0 else { return nil }
        self.start = start
        size = Int(parts[1])
    }
}
