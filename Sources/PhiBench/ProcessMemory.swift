import PhiSystem

/// Memory of this process that is not a mapped file.
enum ProcessMemory {
    /// Resident bytes (Linux's RssAnon), or nil where the system does not say.
    static var privateBytes: Int? {
        guard let status = SystemText.read("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
            let kilobytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes << 10
    }
}
