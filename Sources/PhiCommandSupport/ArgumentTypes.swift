import ArgumentParser
import PhiFormat
import PhiSystem

/// A path in an option: with the bytes that it was given, and with the home directory for a leading `~` that the shell left.
extension FilePath: ExpressibleByArgument {
    package init(argument: String) {
        let path = FilePath(bytes: CommandArguments.bytes(of: argument))
        guard path.bytes.first == UInt8(ascii: "~"), [nil, UInt8(ascii: "/")].contains(path.bytes.dropFirst().first),
            let home = getenv("HOME"), case .missing = PathKind(path)
        else {
            self = path
            return
        }
        let start = UnsafeBufferPointer(start: home, count: strlen(home)).map { UInt8(bitPattern: $0) }
        self.init(bytes: start + path.bytes.dropFirst())
    }

    package static var defaultCompletionKind: CompletionKind { .file() }
}

extension FilePath {
    /// Whether it is `-`, which stands for standard input where a command reads.
    package var isStandardInput: Bool { bytes == [UInt8(ascii: "-")] }
}

/// A text in an option, which need not be UTF-8.
package struct TextArgument: ExpressibleByArgument, Sendable {
    package let bytes: [UInt8]

    package init(argument: String) { bytes = CommandArguments.bytes(of: argument) }

    /// The text, with U+FFFD for what is not UTF-8.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}
