import PhiFormat

/// The id of a repository of Hugging Face's hub, by the rules of its own library (`utils/_validators.py`), with an owner.
///
///     ModelID("microsoft/phi-1")
package struct ModelID: Sendable, Equatable, CustomStringConvertible {
    package let description: String

    /// Nil if `text` has not the form of an id.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let isID =
            parts.count == 2 && text.utf8.count <= 96 && !text.contains("--") && !text.contains("..")
            && !text.hasSuffix(".git")
            && parts.allSatisfy { part in
                part.utf8.allSatisfy(Self.isAllowed) && part.first.map { !"-.".contains($0) } == true
                    && part.last.map { !"-.".contains($0) } == true
            }
        guard isID else { return nil }
        description = text
    }

    /// Letters, digits, `-`, `_` and `.`.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || [0x2D, 0x2E, 0x5F].contains(byte)
    }

    /// Whether both name one repository: the hub does not tell letters by their case.
    package func isSameRepository(as other: ModelID) -> Bool {
        description.lowercased() == other.description.lowercased()
    }

    /// The name of its folder in the cache.
    var folder: String { "models--" + description.replacing("/", with: "--") }
}

/// A branch, tag or commit of a repository.
package struct Revision: Sendable, Equatable, CustomStringConvertible {
    package let description: String

    /// Nil if `text` could not be the name of a file in `refs`, as every name that git allows can.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let isName =
            text.utf8.count <= 255 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
        guard isName else { return nil }
        description = text
    }

    package static func isCommit(_ text: String) -> Bool {
        text.utf8.count == 40 && text.utf8.allSatisfy(isHexadecimal)
    }

    var isCommit: Bool { Self.isCommit(description) }
}

/// Whether `byte` is a digit of lower-case hexadecimal.
func isHexadecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

/// `text` as a part of an address (RFC 3986), without slashes.
package func percentEncoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
        let isPlain =
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
            || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
        if isPlain {
            result.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    return result
}
