#if canImport(Darwin)
    package typealias FileActions = posix_spawn_file_actions_t?
    private let newSessionFlag = Int32(POSIX_SPAWN_SETSID)
#else
    package typealias FileActions = posix_spawn_file_actions_t
    private let newSessionFlag: Int32 = 0x80  // POSIX_SPAWN_SETSID of <spawn.h>, which Swift does not see
#endif

/// The error number of a system call, described by the C library.
package struct SystemError: Error, CustomStringConvertible {
    let number: Int32
    package var description: String { String(cString: strerror(number)) }
}

/// Starts the program at `path` in a process whose signals have their default actions, whatever this process ignores, and
/// returns its id. `environment` has lines `NAME=VALUE`; nil passes on this process's. `openFiles` adds the actions that open
/// the descriptors of the new process; it inherits no others above 2.
package func spawn(
    _ path: String, _ arguments: [String], environment: [String]?, inNewSession: Bool = false,
    openFiles: (inout FileActions) -> Void
) throws(SystemError) -> pid_t {
    #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
    #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    closeOnExec()
    openFiles(&actions)
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for number in [SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | (inNewSession ? newSessionFlag : 0)
    posix_spawnattr_setflags(&attributes, Int16(flags))
    let argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var lines: [UnsafeMutablePointer<CChar>?] = (environment ?? []).map { strdup($0) } + [nil]
    defer { for pointer in argv + lines { free(pointer) } }
    var pid: pid_t = 0
    let code = lines.withUnsafeMutableBufferPointer { lines in
        posix_spawn(&pid, path, &actions, &attributes, argv, environment == nil ? environ : lines.baseAddress)
    }
    guard code == 0 else { throw SystemError(number: code) }
    return pid
}

/// Marks all descriptors above 2 as closed on exec, those too that this process has inherited.
private func closeOnExec() {
    #if canImport(Darwin)
        let open = SystemText.numbers(in: "/dev/fd")
    #else
        let open = SystemText.numbers(in: "/proc/self/fd")
    #endif
    for descriptor in open ?? Array(3..<1024) where descriptor > 2 {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
}
