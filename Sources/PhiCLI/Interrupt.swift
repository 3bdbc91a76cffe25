import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Ctrl-C, a polite kill and a terminal that goes away: the first one is noted, so that the command can end cleanly; a second
/// one ends it at once.
enum Interrupt {
    private static let noted = Atomic<Bool>(false)

    /// Starts to listen to those that are not ignored, as under `nohup`.
    static func catchSignals() {
        _ = noted.load(ordering: .relaxed)  // made now: a signal handler must not be the first to do it
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number) { number in
                Interrupt.noted.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
        }
    }

    /// Whether one came.
    static var isNoted: Bool { noted.load(ordering: .relaxed) }
}
