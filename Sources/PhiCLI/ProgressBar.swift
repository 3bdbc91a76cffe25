import Phi
import PhiCommandSupport
import Synchronization

/// Runs `work` with a progress bar on standard error, if that is a terminal. Its argument shows the fraction done, from any
/// thread, and returns whether to continue: whether no signal has arrived.
func withProgress<Result>(
    _ label: String, _ work: (@escaping @Sendable (Double) -> Bool) throws -> Result
) rethrows -> Result {
    let bar = ProgressBar(label)
    defer { bar.clear() }
    return try work { share in
        bar.update(share)
        return !Interrupt.isNoted
    }
}

/// A share of 0 to 1, drawn: `[====  ]`.
func bar(_ share: Double, width: Int) -> String {
    let filled = min(max(Int(bounded: share * Double(width)), 0), width)
    return "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled) + "]"
}

private final class ProgressBar: Sendable {
    private let label: String
    private let isShown = Console.errorIsTerminal
    private let start = ContinuousClock.now
    private let percent = Atomic(-1)
    /// The time left that was shown last, and when that was, both in seconds since the start.
    private let shown = Mutex((left: Double.infinity, at: 0.0))

    init(_ label: String) { self.label = label }

    func update(_ share: Double) {
        let percent = Int(bounded: share * 100)
        guard isShown, self.percent.exchange(percent, ordering: .relaxed) != percent else { return }
        let remaining = share > 0.02 ? ", \(Int(bounded: timeLeft(share))) s left" : ""
        Console.error("\r\(label) \(bar(share, width: 30)) \(percent)%\(remaining)   ")
    }

    /// The seconds left if the rest goes as fast as what is done. They grow only when that is slower by a fifth than it was; less
    /// is chance.
    private func timeLeft(_ share: Double) -> Double {
        let now = start.duration(to: .now).seconds
        let estimate = now / share - now
        return shown.withLock { shown in
            let expected = max(0, shown.left - (now - shown.at))
            shown = (estimate > expected && estimate < 1.2 * expected + 1 ? expected : estimate, now)
            return shown.left
        }
    }

    func clear() {
        if isShown { Console.error("\r\u{1B}[K") }
    }
}

extension Double {
    /// The number with this many digits after the point, without Foundation.
    func fixed(_ digits: Int) -> String {
        let unit = (0..<digits).reduce(1) { value, _ in value * 10 }
        guard isFinite, magnitude * Double(unit) < 1e18 else { return "\(self)" }
        let scaled = Int((magnitude * Double(unit)).rounded())
        let fraction = String(scaled % unit + unit).dropFirst()
        return (self < 0 && scaled > 0 ? "-" : "") + "\(scaled / unit)" + (digits > 0 ? ".\(fraction)" : "")
    }
}
