/// The kind of a file by its first bytes, where it is not the kind that its reader expects: a stand-in that a download left, or
/// a model in another format.
package enum FileContent: Sendable {
    case empty
    case lfsPointer
    case webPage
    case phi
    case gguf
    case safetensors
    /// A zip archive, as torch writes one.
    case torchArchive

    /// The bytes of a file's beginning that ``init(_:)`` looks at.
    private static let headBytes = 256

    /// Recognises a file by its first bytes; nil if they are of no known kind.
    package init?(_ file: ReadableFile) throws(FormatError) {
        self.init(try file.readBytes(at: 0, count: min(Self.headBytes, file.size)))
    }

    /// Recognises the beginning of a file.
    package init?(_ bytes: some RandomAccessCollection<UInt8>) {
        let head = Array(bytes.prefix(Self.headBytes))
        let text = head.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(16).map { $0 | 0x20 }
        if head.isEmpty {
            self = .empty
        } else if head.starts(with: "version https://git-lfs".utf8) {
            self = .lfsPointer
        } else if ["<!doctype", "<html", "<head", "<?xml"].contains(where: { text.starts(with: $0.utf8) }) {
            self = .webPage
        } else if head.starts(with: PhiHeader.magic) {
            self = .phi
        } else if head.starts(with: "GGUF".utf8) {
            self = .gguf
        } else if head.starts(with: [0x50, 0x4B, 3, 4]) {
            self = .torchArchive
        } else if head.count > 8, head[8] == UInt8(ascii: "{"), head[4..<8].allSatisfy({ $0 == 0 }) {
            self = .safetensors
        } else {
            return nil
        }
    }

    /// Whether the file is no model at all, but stands where a file is missing.
    package var isStandIn: Bool {
        switch self {
        case .empty, .lfsPointer, .webPage: true
        case .phi, .gguf, .safetensors, .torchArchive: false
        }
    }

    /// The error of a reader that expects `expected`, such as "a .phi file", and what to do about it.
    package func fault(of path: String, insteadOf expected: String) -> FormatError {
        let fault =
            switch self {
            case .empty: "is empty (0 bytes), so it is not \(expected); download it again"
            case .lfsPointer: "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
            case .webPage: "is a web page (HTML), not \(expected); download the file itself"
            case .phi: "is a .phi file, not \(expected); it needs no conversion"
            case .gguf: "is a GGUF file, not \(expected); convert it with `phi convert`"
            case .safetensors: "is a safetensors file, not \(expected); convert its checkpoint with `phi convert`"
            case .torchArchive: "is a torch archive, not \(expected); convert its checkpoint with `phi convert`"
            }
        return FormatError(path, fault)
    }
}
