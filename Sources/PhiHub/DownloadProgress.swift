import PhiSystem

/// The state of a download for people: the bytes that are there, the rate at which they arrive, and the time left.
///
/// The rate is that of the last ten seconds or so: bytes and times count less the older they are, so that it follows the network
/// without jumping about.
package struct DownloadProgress: Sendable {
    package let totalBytes: Int
    /// Including those of earlier runs.
    package private(set) var bytes = 0
    private var recentBytes = 0.0
    private var recentSeconds = 0.0
    private var pendingBytes = 0
    private var last: Double?

    package init(totalBytes: Int) { self.totalBytes = totalBytes }

    /// Counts bytes that did not have to arrive; a negative number, those that arrived in vain.
    package mutating func skip(_ count: Int) { bytes += count }

    /// Counts bytes that arrived by `time`, in seconds.
    package mutating func add(_ count: Int, at time: Double) {
        bytes += count
        pendingBytes += count
        guard let last else { return self.last = time }
        guard time - last >= 0.2 else { return }
        let decay = exp((last - time) / Self.memory)
        recentBytes = recentBytes * decay + Double(pendingBytes)
        recentSeconds = recentSeconds * decay + (time - last)
        pendingBytes = 0
        self.last = time
    }

    private static let memory = 10.0

    /// Bytes a second; nil in the first second.
    package var rate: Double? { recentSeconds < 1 ? nil : recentBytes / recentSeconds }

    /// Nil when it is not known, or more than four days.
    package var secondsLeft: Int? {
        guard let rate, rate > 0 else { return nil }
        let seconds = Double(totalBytes - bytes) / rate
        return seconds < 345_600 ? Int(seconds.rounded(.up)) : nil
    }
}

/// A number of bytes for people, `2.84 GB`.
package func shownBytes(_ count: Int) -> String {
    for (unit, size) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)] where count >= size {
        let hundredths = String(count % size / (size / 100) + 100).dropFirst()
        return "\(count / size).\(hundredths) \(unit)"
    }
    return "\(count) bytes"
}
