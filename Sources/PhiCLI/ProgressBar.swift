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

private final class ProgressBar: Sendable {
    private let label: String
    private let isShown = Console.errorIsTerminal
    private let start = ContinuousClock.now
    private let percent = Atomic(-1)

    init(_ label: String) { self.label = label }

    func update(_ share: Double) {
        let percent = Int(share * 100)
        guard isShown, self.percent.exchange(percent, ordering: .relaxed) != percent else { return }
        let filled = percent * 30 / 100
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 30 - filled)
        let elapsed = start.duration(to: .now).seconds
        let remaining = share > 0.02 ? ", \(Int(elapsed / share - elapsed)) s left" : ""
        Console.error("\r\(label) [\(bar)] \(percent)%\(remaining)   ")
    }

    func clear() {
        if isShown { Console.error("\r\u{1B}[K") }
    }
}

extension Double {
    /// The number with this many digits after the point, without Foundation.
    func fixed(_ digits: Int) -> String {
        guard isFinite, magnitude < 1e15 else { return "\(self)" }
        let unit = (0..<digits).reduce(1) { value, _ in value * 10 }
        let scaled = Int((magnitude * Double(unit)).rounded())
        let fraction = String(scaled % unit + unit).dropFirst()
        return (self < 0 && scaled > 0 ? "-" : "") + "\(scaled / unit)" + (digits > 0 ? ".\(fraction)" : "")
    }
}
