import Phi
import PhiCommandSupport

/// A progress bar on standard error, shown only on a terminal.
struct ProgressBar {
    private let label: String
    private let isShown = Console.errorIsTerminal
    private let start = ContinuousClock.now
    private var shown = -1

    init(_ label: String) { self.label = label }

    /// Shows that this fraction of the work is done.
    mutating func update(_ share: Double) {
        let percent = Int(share * 100)
        guard isShown, percent != shown else { return }
        shown = percent
        let filled = percent * 30 / 100
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 30 - filled)
        let elapsed = start.duration(to: .now).seconds
        let remaining = share > 0.02 ? ", \(Int(elapsed / share - elapsed)) s left" : ""
        Console.error("\r\(label) [\(bar)] \(percent)%\(remaining)   ")
    }

    /// Clears the line.
    func finish() {
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
