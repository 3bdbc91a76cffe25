import CPhiSupport
import PhiSystem

/// The cores that this process should use: those of the processors in its affinity mask, limited by the CPU quota of
/// its control group. Hyper-threads of a core count once because they share its vector units; the quota counts because
/// a group that exceeds it is throttled with all its threads.
package struct Cores {
    /// Number of cores, at least one.
    package let count: Int

    /// Counts the cores of this process. Tests pass other `processors` and another `read`, which returns a file's text.
    package init(processors: [Int] = Self.allowed, read: (String) -> String? = Self.text(of:)) {
        let siblings = processors.map { number in
            let topology = "/sys/devices/system/cpu/cpu\(number)/topology/"
            return read(topology + "core_cpus_list") ?? read(topology + "thread_siblings_list") ?? "\(number)"
        }
        let cores = Set(siblings).count
        count = max(1, Self.quota(read).map { min(cores, $0) } ?? cores)
    }

    /// Returns the CPU quota in whole processors, the minimum over the group and its ancestors; nil for no limit.
    private static func quota(_ read: (String) -> String?) -> Int? {
        let groups = (read("/proc/self/cgroup") ?? "").split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }
        var quotas: [Int] = []
        // Version 2: one line `0::/path`; a group's file contains its quota and period, or `max`.
        for group in groups where group.first == "0" {
            for path in ancestors(group.last ?? "/") {
                let numbers = (read("/sys/fs/cgroup\(path)/cpu.max") ?? "").split(whereSeparator: \.isWhitespace)
                if numbers.count == 2, let quota = Int(numbers[0]), let period = Int(numbers[1]), period > 0 {
                    quotas.append(max(1, quota / period))
                }
            }
        }
        // Version 1: `4:cpu,cpuacct:/path`; quota and period are in two files, -1 means no limit.
        for group in groups where group.count == 3 && group[1].split(separator: ",").contains("cpu") {
            for path in ancestors(group[2]) {
                let folder = "/sys/fs/cgroup/\(group[1])\(path)/"
                if let quota = number(read(folder + "cpu.cfs_quota_us")), quota > 0,
                    let period = number(read(folder + "cpu.cfs_period_us")), period > 0
                {
                    quotas.append(max(1, quota / period))
                }
            }
        }
        return quotas.min()
    }

    /// Returns the path and its ancestors: `/a/b`, `/a` and, for the root, an empty string.
    private static func ancestors(_ path: Substring) -> [String] {
        let names = path.split(separator: "/")
        return (0...names.count).reversed().map { names[..<$0].map { "/" + $0 }.joined() }
    }

    private static func number(_ text: String?) -> Int? {
        text.flatMap { Int($0.prefix { !$0.isWhitespace }) }
    }

    /// The processors in this process's affinity mask.
    package static var allowed: [Int] {
        var capacity = 1024
        while true {
            let numbers = [Int32](unsafeUninitializedCapacity: capacity) { buffer, count in
                count = min(capacity, Int(phi_processors(buffer.baseAddress, Int32(capacity))))
            }
            if numbers.count < capacity || capacity >= 1 << 20 { return numbers.map { Int($0) } }
            capacity *= 2
        }
    }

    /// Returns the first 4096 bytes of a file, or nil.
    package static func text(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, read(file, buffer.baseAddress, buffer.count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
