import PhiSystem
import Synchronization

/// A new file that appears under its name only when it is complete: until ``commit()`` it has a temporary name in the same
/// directory, and is deleted with this object. A link is followed: the file that it leads to is replaced. What a killed process has
/// left there of the same file is deleted by the next one.
package final class AtomicFile {
    /// Path of the finished file, for errors.
    package let path: String
    private let location: FilePath
    /// Path until ``commit()``.
    package let temporaryPath: FilePath
    /// Offset at which ``append(_:)-(UnsafeRawBufferPointer)`` writes next.
    package private(set) var position = 0
    private let descriptor: Int32
    private let overwrite: Bool
    private var isCommitted = false
    /// The last bytes before ``position``, which are not in the file yet.
    private var pending: [UInt8] = []

    /// Bytes that are written at a time, at multiples of it: a file system that can then keeps the file in its cache in huge
    /// pages. A process that maps these has few page faults and reads faster.
    private static let piece = 4 << 20

    package convenience init(path: String, overwrite: Bool) throws(FormatError) {
        try self.init(FilePath(path), overwrite: overwrite)
    }

    /// Throws ``FormatError`` when `path` exists and may not be replaced, is one of the `sources` of its contents, or cannot be
    /// written.
    ///
    /// With a `mode` that is not for others, a link is replaced instead: somebody else may have made it.
    package init(
        _ path: FilePath, overwrite: Bool, sources: [FilePath] = [], mode: mode_t = 0o644
    ) throws(FormatError) {
        try Self.check(path, overwrite: overwrite, sources: sources)
        self.path = path.description
        self.overwrite = overwrite
        let target = mode & 0o077 == 0 ? path : try Self.target(of: path)
        location = target
        (temporaryPath, descriptor) = Self.opening.withLock { _ in
            Self.removeRemains(of: target)
            let number = Self.made.wrappingAdd(1, ordering: .relaxed).newValue
            let path = target.extended(".\(getpid()).\(number).part")
            let descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode) }
            if descriptor >= 0 { _ = flock(descriptor, LOCK_EX | LOCK_NB) }
            return (path, descriptor)
        }
        guard descriptor >= 0 else { throw FormatError(path, "cannot be written: " + String(cString: strerror(errno))) }
        // What is replaced may have been for few eyes, or for more.
        var status = stat()
        if mode & 0o077 != 0, target.withCString({ stat($0, &status) }) == 0 {
            _ = fchmod(descriptor, status.st_mode & 0o777)
        }
    }

    /// Throws ``FormatError`` where ``init(_:overwrite:sources:mode:)`` would because of what lies at `path`, without making a file: for
    /// long work whose result goes there.
    package static func check(_ path: FilePath, overwrite: Bool, sources: [FilePath] = []) throws(FormatError) {
        switch PathKind(path) {
        case .directory: throw FormatError(path, "is a directory")
        case .other: throw FormatError(path, "is not a regular file")
        case .file where !overwrite: throw FormatError(path, exists)
        case .file, .missing: break
        }
        guard !sources.contains(where: { $0.isSameFile(as: path) }) else {
            throw FormatError(path, "is read for this; give the output another name")
        }
        guard case .directory = PathKind(path.parent) else {
            throw FormatError(path, "cannot be written: its directory does not exist")
        }
    }

    private static let exists = "exists already; --force replaces it"

    /// Where `path` leads if it is a link, to a file or to nothing; else itself.
    private static func target(of path: FilePath) throws(FormatError) -> FilePath {
        var target = path
        for _ in 0..<40 {
            guard PathKind.isLink(target) else { return target }
            var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = bytes.withUnsafeMutableBytes { bytes in
                bytes.withMemoryRebound(to: CChar.self) { characters in
                    target.withCString { path in
                        characters.baseAddress.map { readlink(path, $0, characters.count) } ?? -1
                    }
                }
            }
            guard count > 0 else { break }
            let isAbsolute = bytes[0] == UInt8(ascii: "/")
            let link = Array(bytes[..<count])
            target = isAbsolute ? FilePath(bytes: link) : target.parent.appending(bytes: link)
        }
        throw FormatError(path, "cannot be written: " + String(cString: strerror(ELOOP)))
    }

    /// The number of files that this process has made.
    private static let made = Atomic(0)

    /// Held until a file has its own lock: until then ``removeRemains(of:)`` of another thread would take it for a dead process's.
    private static let opening = Mutex(())

    /// Deletes the temporary files of `path` whose processes are gone. The lock tells of processes with other numbers, in another
    /// container, and of an earlier one with this number; where there are no locks, the number alone does.
    private static func removeRemains(of path: FilePath) {
        let name = Array(path.bytes.split(separator: UInt8(ascii: "/")).last ?? []) + [UInt8(ascii: ".")]
        let suffix = Array(".part".utf8)
        for file in (try? PathKind.contents(of: path.parent)) ?? [] {
            let found = file.bytes.split(separator: UInt8(ascii: "/")).last ?? []
            let numbers = found.dropFirst(name.count).dropLast(suffix.count).split(separator: UInt8(ascii: "."))
                .map { pid_t(String(decoding: $0, as: UTF8.self)) }
            guard found.starts(with: name), found.suffix(suffix.count) == suffix[...], (1...2).contains(numbers.count),
                !numbers.contains(nil), let process = numbers[0], process > 0,
                process == getpid() || kill(process, 0) != 0 && errno == ESRCH
            else { continue }
            let descriptor = file.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
            guard descriptor >= 0 else { continue }
            let isFree = flock(descriptor, LOCK_EX | LOCK_NB) == 0
            if isFree || process != getpid() && errno != EWOULDBLOCK { _ = file.withCString { unlink($0) } }
            close(descriptor)
        }
    }

    // Called for an initialiser that throws, too, once all properties are set.
    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        if !isCommitted { _ = temporaryPath.withCString { unlink($0) } }
    }

    /// Writes at the end. What fails may become known later, at the latest by ``commit()``.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
        var rest = bytes
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.piece - position % Self.piece))
            rest = UnsafeRawBufferPointer(rebasing: rest[part.count...])
            position += part.count
            pending.append(contentsOf: part)
            if position % Self.piece == 0 { try flush() }
        }
    }

    package func append(_ bytes: [UInt8]) throws(FormatError) {
        try bytes.withBytes { bytes throws(FormatError) in try append(bytes) }
    }

    /// Overwrites bytes at `offset`.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError) {
        try flush()
        guard writeAll(bytes, to: descriptor, at: offset) else { throw failure() }
    }

    private func flush() throws(FormatError) {
        let isWritten = pending.withUnsafeBytes { writeAll($0, to: descriptor, at: position - pending.count) }
        guard isWritten else { throw failure() }
        pending.removeAll(keepingCapacity: true)
    }

    /// Flushes the file to the disk and gives it its name. Throws ``FormatError`` also when another file has got that name meanwhile
    /// and may not be replaced.
    package func commit() throws(FormatError) {
        try flush()
        guard fsync(descriptor) == 0 else { throw failure() }
        func named(_ function: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32) -> Bool {
            temporaryPath.withCString { old in location.withCString { new in function(old, new) } } == 0
        }
        if !overwrite {
            // Unlike a renaming, a second link replaces nothing.
            if named(link) {
                _ = temporaryPath.withCString { unlink($0) }
            } else if errno == EEXIST {
                throw FormatError(path, Self.exists)
            } else {  // not every file system has links
                try Self.check(location, overwrite: false)
                guard named(rename) else { throw failure() }
            }
        } else if !named(rename) {
            throw failure()
        }
        isCommitted = true
        let folder = location.parent.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        if folder >= 0 {
            _ = fsync(folder)
            close(folder)
        }
    }

    private func failure() -> FormatError {
        FormatError(path, "cannot be written: " + String(cString: strerror(errno)))
    }
}

extension Array where Element: BitwiseCopyable {
    /// Calls `body` with the elements as bytes; unlike `withUnsafeBytes`, keeps the type of its errors.
    func withBytes(_ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void) throws(FormatError) {
        try withUnsafeBufferPointer { elements throws(FormatError) in try body(UnsafeRawBufferPointer(elements)) }
    }
}
