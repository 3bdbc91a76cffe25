import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Ctrl-C and a polite kill: the first one is noted, so that the command can end cleanly; a second one ends it at once.
enum Interrupt {
    private static let noted = Atomic<Bool>(false)

    /// Starts to listen.
    static func catchSignals() {
        _ = noted.load(ordering: .relaxed)  // made now: a signal handler must not be the first to do it
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interrupt.noted.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }

    /// Whether one came.
    static var isNoted: Bool { noted.load(ordering: .relaxed) }
}
