import PhiSystem

/// A path as the system takes it: bytes, which need not be UTF-8.
///
/// A `String` cannot hold such bytes, so ``description`` is for people only, with U+FFFD for what is no text; files are opened
/// by the bytes.
package struct FilePath: Sendable, Hashable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { bytes = Array(text.utf8) }

    package var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The path of `name` in this directory.
    package func appending(_ name: String) -> FilePath { appending(bytes: Array(name.utf8)) }

    package func appending(bytes name: [UInt8]) -> FilePath {
        FilePath(bytes: bytes + (bytes.last == Self.slash ? [] : [Self.slash]) + name)
    }

    /// The path with more characters at its end.
    package func extended(_ suffix: String) -> FilePath { FilePath(bytes: bytes + suffix.utf8) }

    /// The directory that it lies in.
    package var parent: FilePath {
        guard let end = bytes.lastIndex(of: Self.slash) else { return FilePath(".") }
        return FilePath(bytes: end == 0 ? [Self.slash] : Array(bytes[..<end]))
    }

    /// Its last component.
    package var name: String {
        bytes.split(separator: Self.slash).last.map { String(decoding: $0, as: UTF8.self) } ?? description
    }

    /// Whether both lead to one existing file.
    package func isSameFile(as other: FilePath) -> Bool {
        var (own, others) = (stat(), stat())
        return withCString { stat($0, &own) } == 0 && other.withCString { stat($0, &others) } == 0
            && own.st_dev == others.st_dev && own.st_ino == others.st_ino
    }

    /// Calls `body` with the path for the system, which ends at the first zero byte: see ``PathKind``.
    package func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                preconditionFailure("an array of one element or more has an address")
            }
            return body(base)
        }
    }

    private static let slash = UInt8(ascii: "/")
}

extension FormatError {
    package init(_ file: FilePath, _ fault: String) { self.init(file.description, fault) }
}
