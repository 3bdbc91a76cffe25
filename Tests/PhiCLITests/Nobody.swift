import Foundation
import PhiTestSupport
import Testing

/// A user without permissions: the current one, or `nobody` where the tests run as root, who may read and write everything.
enum Nobody {
    static let needed: Comment = "the tests run as root, and phi cannot be run as another user here"

    /// Whether ``run(_:_:)`` works.
    static let canRun: Bool = {
        guard geteuid() == 0 else { return true }
        guard let folder = try? TemporaryFolder() else { return false }
        chmod(folder.path, 0o755)
        let probe = #"\#(drop) sh -c 'test -x "$PHI" && test -x "$1"' sh "$1""#
        return (try? Command.shell(probe, folder.path).status) == 0
    }()

    private static let drop = "setpriv --reuid 65534 --regid 65534 --clear-groups"

    /// Runs a line of `sh` as ``Command/shell(_:_:input:)`` does. The folders of the arguments must be open to that user.
    static func run(_ line: String, _ arguments: String...) throws -> Outcome {
        let confined = geteuid() == 0 ? "exec \(drop) sh -c '\(line)' sh \"$@\"" : line
        return try Command.startShell(confined, arguments).wait()
    }
}
