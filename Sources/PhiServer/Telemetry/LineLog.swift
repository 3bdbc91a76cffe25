import Logging
import PhiFormat
import PhiSystem
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The format of log lines.
package enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-11-24T12:00:00.123Z info request [request_id=... status=200]`
    case text
    /// One JSON object a line: `time`, `level`, `message`, and all metadata.
    case json
}

/// A log handler that writes one line for each entry. Line breaks in values are quoted, so that a client cannot forge an entry.
package struct LineLog: LogHandler {
    /// The lowest level that is logged.
    package var logLevel: Logger.Level
    /// Values added to every entry.
    package var metadata: Logger.Metadata = [:]
    /// The source of further values, set by loggers that have one.
    package var metadataProvider: Logger.MetadataProvider?
    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Date

    /// A log that passes lines, including their line breaks, to `write`.
    package init(
        _ format: LogFormat, level: Logger.Level = .info, now: @escaping @Sendable () -> Date = { Date() },
        write: @escaping @Sendable (String) -> Void = LineLog.toStandardError
    ) {
        logLevel = level
        self.format = format
        self.now = now
        self.write = write
    }

    /// Writes whole lines to standard error.
    package static let toStandardError: @Sendable (String) -> Void = { line in
        lock.withLock { _ in _ = writeAll(Array(line.utf8), to: STDERR_FILENO) }
    }
    private static let lock = Mutex(())

    /// A value added to every entry.
    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes an entry.
    package func log(event: LogEvent) {
        let all = metadata.merging(metadataProvider?.get() ?? [:]) { own, _ in own }
            .merging(event.metadata ?? [:]) { _, new in new }
        let time = now().formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true))
        switch format {
        case .text: write(Self.text(time + "Z", event, all))
        case .json: write(Self.json(time + "Z", event, all))
        }
    }

    private static func text(_ time: String, _ event: LogEvent, _ metadata: Logger.Metadata) -> String {
        let pairs = metadata.sorted { $0.key < $1.key }.map { "\($0)=\(plain("\($1)"))" }
        let message = "\(event.message)".split(whereSeparator: \.isNewline).joined(separator: " ").printable
        return "\(time) \(event.level) \(message)" + (pairs.isEmpty ? "" : " [\(pairs.joined(separator: " "))]") + "\n"
    }

    /// The value itself if it is one word, else quoted as in JSON.
    private static func plain(_ value: String) -> String {
        let isWord =
            !value.isEmpty && value.unicodeScalars.allSatisfy { (0x21...0x7E).contains($0.value) && $0 != "\"" }
        return isWord ? value : quoted(value)
    }

    private static func json(_ time: String, _ event: LogEvent, _ metadata: Logger.Metadata) -> String {
        var fields = [
            "\"time\":\(quoted(time))", "\"level\":\"\(event.level)\"", "\"message\":\(quoted("\(event.message)"))",
        ]
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { fields.append("\(quoted(key)):\(json(value))") }
        return "{\(fields.joined(separator: ","))}\n"
    }

    /// Encodes numbers as numbers, so that log searches can compare them.
    private static func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .stringConvertible(let number as Int): String(number)
        case .stringConvertible(let number as Double) where number.isFinite: String(number)
        case .stringConvertible(let flag as Bool): String(flag)
        case .stringConvertible(let other): quoted("\(other)")
        case .array(let values): "[" + values.map(json).joined(separator: ",") + "]"
        case .dictionary(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\(quoted($0)):\(json($1))" }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.isControl:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
