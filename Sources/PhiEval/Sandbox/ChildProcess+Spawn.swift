import PhiFormat
import PhiSystem

extension ChildProcess {
    /// Starts the process and returns its id and this side's ends of the pipes. Not thread-safe.
    static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String]?, _ input: [UInt8], _ pipes: Int,
        _ channel: Int32?, _ file: [UInt8]?
    ) throws(FormatError) -> (pid: pid_t, ends: [Int32]) {
        var mine: [Int32] = []
        var theirs: [Int32] = []
        defer { for descriptor in theirs { close(descriptor) } }
        // Closed whatever happens, until it is among the descriptors to close.
        var channel = channel
        defer { if let channel { close(channel) } }
        do throws(FormatError) {
            theirs.append(try namelessFile(input))
            for _ in 0..<pipes {
                var ends: [Int32] = [0, 0]
                guard pipe(&ends) == 0 else { throw systemFault(path) }
                mine.append(try raised(ends[0], path))
                theirs.append(try raised(ends[1], path))
            }
            if let end = channel.take() { theirs.append(try raised(end, path)) }
            if let file { theirs.append(try namelessFile(file)) }
            return (try spawn(path, arguments, environment, descriptors: theirs), mine)
        } catch {
            for descriptor in mine { close(descriptor) }
            throw error
        }
    }

    /// Starts the process with `descriptors` as its descriptors 0, 1, 2 and so on; 1 and 2 are /dev/null if there are fewer.
    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String]?, descriptors: [Int32]
    ) throws(FormatError) -> pid_t {
        do throws(SystemError) {
            return try PhiSystem.spawn(path, arguments, environment: environment, inNewSession: true) { actions in
                for (number, descriptor) in descriptors.enumerated() {
                    posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
                }
                for number in descriptors.count..<max(3, descriptors.count) {
                    posix_spawn_file_actions_addopen(&actions, Int32(number), "/dev/null", O_RDWR, 0)
                }
            }
        } catch {
            throw FormatError(path, "cannot be run: \(error)")
        }
    }

    /// A duplicate above the descriptors that a child gets, closed on exec.
    private static func raised(_ descriptor: Int32, _ path: String) throws(FormatError) -> Int32 {
        defer { close(descriptor) }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 16)
        guard copy >= 0 else {
            // The limit may be lower than the number asked for.
            if errno == EINVAL { errno = EMFILE }
            throw systemFault(path)
        }
        return copy
    }

    /// An unlinked file that holds `bytes`, positioned at its start.
    private static func namelessFile(_ bytes: [UInt8]) throws(FormatError) -> Int32 {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(folder)/phi-eval-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw systemFault(folder) }
        unlink(template)
        let descriptor = try raised(file, folder)
        guard writeAll(bytes, to: descriptor) else {
            close(descriptor)
            throw systemFault(folder)
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    static func systemFault(_ path: String) -> FormatError {
        if errno == EMFILE { return FormatError("open files", "are too many; lower --workers, or raise ulimit -n") }
        return FormatError(path, String(cString: strerror(errno)))
    }
}
