import PhiSystem

/// Bytes at a fixed address for the lifetime of this object: a file mapped read-only, or memory that lives as long as the
/// process.
///
/// Processes that map one file share its pages. A file that is truncated while it is mapped kills its readers; replace
/// files by renaming a new one over them, as ``PhiFileWriter`` does.
public final class MappedFile: Sendable {
    /// The file's path, or a name for memory; errors begin with it.
    public let path: String
    /// Length in bytes.
    public let count: Int
    private let base: UInt
    private let isMapped: Bool

    /// Maps the file at `path`. Throws ``FormatError`` when it cannot be opened or mapped, or is empty.
    public convenience init(path: String) throws(FormatError) { try self.init(FilePath(path)) }

    /// Maps the file at `path`; errors call it `name`, if one is given.
    package init(_ path: FilePath, name: String? = nil) throws(FormatError) {
        if case .directory = PathKind(path) {
            throw FormatError(path, "is a directory, not a .phi file; `phi convert` makes one of a checkpoint")
        }
        let file = try ReadableFile(path)
        guard file.size > 0 else { throw FormatError(path, "is empty") }
        let pointer = mmap(nil, file.size, PROT_READ, MAP_SHARED, file.descriptor, 0)
        guard let pointer, pointer != MAP_FAILED else { throw FormatError(path, String(cString: strerror(errno))) }
        #if os(Linux)
            // What is not in the system's cache is then read in huge pages, where the file system can.
            madvise(pointer, file.size, MADV_HUGEPAGE)
        #endif
        self.path = name ?? file.path
        count = file.size
        base = UInt(bitPattern: pointer)
        isMapped = true
    }

    /// Wraps memory that is never freed or written again, such as a constant of the program.
    ///
    /// Weights in it are read in place, so a model needs memory that is aligned to 64 bytes.
    public init(permanent bytes: UnsafeRawBufferPointer, name: String) {
        path = name
        count = bytes.count
        base = UInt(bitPattern: bytes.baseAddress)
        isMapped = false
    }

    deinit {
        if isMapped { munmap(UnsafeMutableRawPointer(bitPattern: base), count) }
    }

    /// Takes the pages of `part` out of this process's memory until they are read again; they stay in the system's cache.
    package func release(_ part: UnsafeRawBufferPointer) {
        guard isMapped, let start = part.baseAddress else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = (UInt(bitPattern: start) + UInt(page) - 1) / UInt(page) * UInt(page)
        let last = (UInt(bitPattern: start) + UInt(part.count)) / UInt(page) * UInt(page)
        if first < last { madvise(UnsafeMutableRawPointer(bitPattern: first), Int(last - first), MADV_DONTNEED) }
    }

    /// The bytes; valid while this object lives.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: base), count: count)
    }
}
