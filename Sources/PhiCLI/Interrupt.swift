import PhiSystem
import Synchronization

/// SIGINT, SIGTERM and SIGHUP: the first is recorded, so that the command can end cleanly; a second ends it at once.
enum Interrupt {
    private static let noted = Atomic<Int32>(0)

    /// Installs the handler, except for signals that are ignored, as under `nohup`.
    static func catchSignals() {
        _ = noted.load(ordering: .relaxed)  // initialised here, as a signal handler must not do it
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number) { number in
                Interrupt.noted.store(number, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
        }
    }

    /// Whether a signal has arrived.
    static var isNoted: Bool { noted.load(ordering: .relaxed) != 0 }

    /// The exit status of a process that the signal ended, as shells give it.
    static var exitStatus: Int32 { 128 + noted.load(ordering: .relaxed) }
}
