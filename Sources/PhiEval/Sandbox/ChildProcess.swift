import PhiFormat
import PhiSystem
import Synchronization

/// A child process with its input in an unnamed file and its output in pipes.
///
/// The thread that starts one must live as long as it does: bubblewrap asks to be killed when its parent thread ends.
final class ChildProcess {
    /// The bytes received through a pipe so far.
    struct Stream {
        fileprivate(set) var bytes: [UInt8] = []
        fileprivate(set) var isOpen = true
        fileprivate let descriptor: Int32
    }

    let pid: pid_t
    /// Whether it is bubblewrap, which writes the id of the sandbox's first process to descriptor 4.
    let isSandbox: Bool
    /// Descriptors 1, 2, 3 and 4 of the child, the first `pipes` of them.
    private(set) var streams: [Stream] = []
    private(set) var status: Int32?
    /// Bytes kept of each pipe; further ones are read and dropped.
    static let limit = 1 << 16

    /// Held while pipes are created and passed on, so that no other child inherits their ends.
    private static let spawning = Mutex(())

    /// Starts `path` in a new session, with `input` as standard input, pipes at descriptors 1 to `pipes`, and after them `channel`,
    /// which is closed here, and a file that holds `file`; an `environment` of nil is this process's. `isSandbox` says whether it is
    /// bubblewrap. Throws ``FormatError`` when it cannot be started.
    init(
        _ path: String, _ arguments: [String], environment: [String]?, input: [UInt8] = [], pipes: Int,
        channel: Int32? = nil, file: [UInt8]? = nil, isSandbox: Bool = false
    ) throws(FormatError) {
        self.isSandbox = isSandbox
        let ends: [Int32]
        (pid, ends) = try Self.spawning.withLock { _ throws(FormatError) in
            try Self.spawn(path, arguments, environment, input, pipes, channel, file)
        }
        streams = ends.map { Stream(descriptor: $0) }
    }

    /// Kills the process if it has not ended, as when its partner could not be started.
    deinit {
        if !reap() { stop() }
        for stream in streams where stream.isOpen { close(stream.descriptor) }
    }

    /// Reads available output, waiting at most this long for some, and checks whether the process has ended.
    func poll(milliseconds: Int32) {
        var waiting = streams.filter(\.isOpen).map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        if waiting.isEmpty {
            usleep(UInt32(max(1, milliseconds)) * 1000)
        } else {
            _ = PhiSystem.poll(&waiting, nfds_t(waiting.count), milliseconds)
        }
        for ready in waiting where ready.revents != 0 {
            for index in streams.indices where streams[index].isOpen && streams[index].descriptor == ready.fd {
                receive(index)
            }
        }
        reap()
    }

    /// Checks whether the process has ended.
    @discardableResult
    func reap() -> Bool {
        guard status == nil else { return true }
        var code: Int32 = 0
        if waitpid(pid, &code, WNOHANG) == pid { status = code }
        return status != nil
    }

    private func receive(_ index: Int) {
        var piece = [UInt8](repeating: 0, count: 1 << 14)
        let count = piece.withUnsafeMutableBytes { read(streams[index].descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            streams[index].bytes += piece[..<min(count, Self.limit - streams[index].bytes.count)]
        } else if count == 0 || errno != EINTR {
            close(streams[index].descriptor)
            streams[index].isOpen = false
        }
    }

    /// The status with which the process ended, in words.
    var end: String {
        let status = status ?? 0
        return status & 0x7F == 0 ? "ended with status \(status >> 8 & 0xFF)" : "ended by signal \(status & 0x7F)"
    }

    /// The two ends of a new channel, closed on exec.
    static func channel() throws(FormatError) -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        let isOpen = spawning.withLock { _ in
            guard socketpair(AF_UNIX, streamSocketKind, 0, &ends) == 0 else { return false }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return true
        }
        guard isOpen else { throw systemFault("channel") }
        return (ends[0], ends[1])
    }

    #if canImport(Glibc)
        private static let streamSocketKind = Int32(SOCK_STREAM.rawValue)
    #else
        private static let streamSocketKind = SOCK_STREAM
    #endif

    /// Runs a program to its end and returns its output and exit status, 128 plus the number for a signal. Throws
    /// ``FormatError`` when it cannot be started.
    static func output(of path: String, _ arguments: [String]) throws(FormatError) -> (status: Int32, bytes: [UInt8]) {
        let child = try ChildProcess(path, arguments, environment: nil, pipes: 1)
        while !child.reap() || child.streams[0].isOpen { child.poll(milliseconds: 10) }
        let code = child.status ?? 0
        return (code & 0x7F == 0 ? code >> 8 & 0xFF : 128 + (code & 0x7F), child.streams[0].bytes)
    }

    /// The path of a program: `name` itself if it has a slash, otherwise the first match on `PATH`.
    static func find(_ name: String) -> String? {
        func isProgram(_ path: String) -> Bool {
            if case .file = PathKind(path) { return access(path, X_OK) == 0 }
            return false
        }
        if name.contains("/") { return isProgram(name) ? name : nil }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return folders.split(separator: ":").lazy.map { "\($0)/\(name)" }.first(where: isProgram)
    }
}
