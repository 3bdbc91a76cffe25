import Foundation

/// Runs a line of `sh` as ``Command/shell(_:_:input:)`` does, as a user who may not read and write everything; nil, with
/// a printed message, when that cannot be done. The folder of the first argument must be open to that user.
func asNobody(_ line: String, _ arguments: String...) throws -> Outcome? {
    if geteuid() != 0 { return try Command.startShell(line, arguments).wait() }
    let drop = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    let folder = URL(fileURLWithPath: arguments[0]).deletingLastPathComponent().path
    let probe = #"\#(drop) sh -c 'test -x "$PHI" && test -x "$1"' sh "$1""#
    guard try Command.shell(probe, folder).status == 0 else {
        print("SKIPPED a test of permissions: root may do everything, and phi cannot be run as another user here")
        return nil
    }
    return try Command.startShell("exec \(drop) sh -c '\(line)' sh \"$@\"", arguments).wait()
}
