import PhiSystem

/// What the processor calls itself.
package enum ProcessorName {
    /// The model name, such as `AMD EPYC 7713`; empty where the system does not say.
    package static let current: String = {
        #if canImport(Darwin)
            var size = 0
            guard sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0, size > 0 else { return "" }
            var bytes = [UInt8](repeating: 0, count: size)
            guard sysctlbyname("machdep.cpu.brand_string", &bytes, &size, nil, 0) == 0 else { return "" }
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        #else
            guard let text = SystemText.read("/proc/cpuinfo") else { return "" }
            let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
            let value = line?.split(separator: ":", maxSplits: 1).last ?? ""
            return String(value.drop { $0.isWhitespace })
        #endif
    }()
}
