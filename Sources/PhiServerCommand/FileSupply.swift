import NIOCore
import PhiFormat
import PhiSystem

/// The open files that the system allows.
enum FileSupply {
    /// Returns how many connections the server may have, at most `count`: each is an open file, and the server needs some for itself.
    /// Throws ``FormatError`` when hardly any is left, since the libraries below the server end the process then.
    static func connections(atMost count: Int) throws(FormatError) -> Int {
        let allowed = Int(sysconf(Int32(_SC_OPEN_MAX)))
        guard allowed >= 0 else { return count }  // without a limit
        // Three for each thread of NIO; the model, standard streams, the listening socket.
        let own = 3 * System.coreCount + 32
        let fewest = own + 8
        guard allowed >= fewest else {
            throw FormatError("open files", "the system allows \(allowed), the server needs \(fewest); raise ulimit -n")
        }
        return min(count, allowed - own)
    }
}
