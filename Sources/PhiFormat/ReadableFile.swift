import PhiSystem

/// A regular file, opened once and read by position.
///
/// Checkpoints are read with `pread` and not mapped: mapped pages count as the process's own memory while a 5 GB
/// checkpoint goes by, and a file that is truncated while it is mapped kills the process instead of failing a read.
/// Any number of threads may read at once.
package final class ReadableFile: Sendable {
    /// The path as it was given, and for errors.
    package let location: FilePath
    package let path: String
    /// Length in bytes when the file was opened.
    package let size: Int
    let descriptor: Int32

    /// The last component of its path.
    package var name: String { location.name }

    package convenience init(path: String) throws(FormatError) { try self.init(FilePath(path)) }

    /// Opens the file at `path`, or throws ``FormatError`` when it is missing, a directory, not readable, or neither
    /// file nor link to one.
    package init(_ path: FilePath) throws(FormatError) {
        switch PathKind(path) {
        case .missing(let fault): throw FormatError(path, fault)
        case .directory: throw FormatError(path, "is a directory")
        case .other: throw FormatError(path, "is not a regular file")
        case .file: break
        }
        // The kind may change between the two looks: O_NONBLOCK keeps a pipe from waiting, and the kind is asked again.
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else { throw FormatError(path, lastSystemFault()) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let size = Int(exactly: status.st_size)
        else {
            close(descriptor)
            throw FormatError(path, "is not a regular file")
        }
        location = path
        self.path = path.description
        self.size = size
        self.descriptor = descriptor
    }

    /// Opens a file that other users must not have made or be able to change; nil when there is none. Throws ``FormatError`` when
    /// it is a link, not this user's, or writable for others.
    package init?(ownAt path: FilePath) throws(FormatError) {
        guard !path.bytes.contains(0) else { throw FormatError(path, "is not a path: it holds a zero byte") }
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) }
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else {
            throw FormatError(path, errno == ELOOP ? "is a link, which is not followed" : lastSystemFault())
        }
        do throws(FormatError) {
            size = Int(try Ownership.check(descriptor, path, S_IFREG, noOther: .write).st_size)
        } catch {
            close(descriptor)
            throw error
        }
        location = path
        self.path = path.description
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Fills `buffer` from the bytes that start at `offset`, or throws ``FormatError`` when they are not all in the file
    /// or cannot be read.
    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FormatError) {
        try check(offset, buffer.count)
        var done = 0
        while done < buffer.count {
            // Linux moves at most 2 GiB a call and macOS refuses more, so ask for less.
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<min(done + 1 << 28, buffer.count)])
            let moved = pread(descriptor, piece.baseAddress, piece.count, off_t(offset + done))
            if moved > 0 {
                done += moved
            } else if moved == 0 {
                throw FormatError(path, "was cut short while it was read")
            } else if errno != EINTR {
                throw FormatError(path, lastSystemFault())
            }
        }
    }

    /// The `count` bytes that start at `offset`; throws as ``read(at:into:)`` does, before memory is taken for them.
    package func readBytes(at offset: Int, count: Int) throws(FormatError) -> [UInt8] {
        try check(offset, count)
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBufferPointer { bytes throws(FormatError) in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(bytes))
        }
        return bytes
    }

    /// All bytes of a file that is expected to be small; throws when it is longer than `limit`.
    package func readAll(limit: Int) throws(FormatError) -> [UInt8] {
        guard size <= limit else { throw FormatError(path, "is \(size) bytes long; at most \(limit) are expected") }
        return try readBytes(at: 0, count: size)
    }

    private func check(_ offset: Int, _ count: Int) throws(FormatError) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard offset >= 0, count >= 0, !overflow, end <= size else {
            throw FormatError(path, "is too short: \(count) bytes at \(offset) are wanted, it has \(size)")
        }
    }
}

/// The check that an open file or directory is this user's alone.
package enum Ownership {
    /// What no other user may do.
    package enum Access {
        case write, any

        fileprivate var permissions: mode_t { self == .write ? 0o022 : 0o077 }
        fileprivate var remedy: String { self == .write ? "chmod go-w" : "chmod go=" }
    }

    /// Returns the status of `descriptor`. Throws ``FormatError`` when it is not of the kind, belongs to another user or gives
    /// others access.
    package static func check(
        _ descriptor: Int32, _ path: FilePath, _ kind: mode_t, noOther access: Access
    ) throws(FormatError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == kind else {
            throw FormatError(path, kind == S_IFDIR ? "is not a directory" : "is not a regular file")
        }
        guard status.st_uid == geteuid() else { throw FormatError(path, "belongs to another user") }
        guard status.st_mode & access.permissions == 0 else {
            throw FormatError(path, "is open to other users; \(access.remedy) closes it")
        }
        return status
    }
}

/// The kind of file at a path.
package enum PathKind {
    /// A regular file, or a link to one.
    case file
    /// A directory, or a link to one.
    case directory
    /// A pipe, socket or device.
    case other
    /// Nothing that can be accessed, and why.
    case missing(fault: String)

    /// The kind of `path`, following links.
    package init(_ path: FilePath) {
        var status = stat()
        if path.bytes.contains(0) {
            self = .missing(fault: "is not a path: it holds a zero byte")
        } else if path.withCString({ stat($0, &status) }) != 0 {
            let fault = lastSystemFault()
            self = .missing(fault: Self.isLink(path) ? "is a link to nothing: \(fault)" : fault)
        } else {
            switch status.st_mode & S_IFMT {
            case S_IFREG: self = .file
            case S_IFDIR: self = .directory
            default: self = .other
            }
        }
    }
}

extension PathKind {
    package init(_ path: String) { self.init(FilePath(path)) }

    /// Whether `path` is a link, to whatever it leads.
    package static func isLink(_ path: FilePath) -> Bool {
        var status = stat()
        return !path.bytes.contains(0) && path.withCString { lstat($0, &status) } == 0
            && status.st_mode & S_IFMT == S_IFLNK
    }

    /// The paths of what lies in a directory and does not begin with a dot. Throws ``FormatError`` when it cannot be read.
    package static func contents(of path: FilePath) throws(FormatError) -> [FilePath] {
        guard let names = path.withCString({ SystemText.names(in: $0) }) else {
            throw FormatError(path, lastSystemFault())
        }
        return names.filter { $0.first != UInt8(ascii: ".") }.map { path.appending(bytes: $0) }
    }
}

private func lastSystemFault() -> String {
    switch errno {
    case ENOENT, ENOTDIR: "no such file"
    case EACCES, EPERM: "permission denied"
    case let code: String(cString: strerror(code))
    }
}
