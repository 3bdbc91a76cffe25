import PhiCheckpoint
import PhiFormat
import PhiJSON
import PhiSystem

/// A repository's folder in Hugging Face's cache, in the layout of its own library (`file_download.py`), so that either finds what
/// the other has downloaded:
///
///     models--microsoft--phi-1/blobs/ETAG                     a file's content, named by its digest
///     models--microsoft--phi-1/blobs/ETAG.incomplete          the first part of it
///     models--microsoft--phi-1/snapshots/COMMIT/config.json   a link to ../../blobs/ETAG
///     models--microsoft--phi-1/refs/main                      the commit of a branch or a tag
///     models--microsoft--phi-1/trees/COMMIT.json              the names of a commit's files
///     .locks/models--microsoft--phi-1/ETAG.lock               locked while the blob is downloaded
struct CacheEntry {
    let cache: FilePath
    let id: ModelID
    private let folder: FilePath

    init(_ id: ModelID, in cache: FilePath) {
        self.cache = cache
        self.id = id
        folder = cache.appending(id.folder)
    }

    func snapshot(_ commit: String) -> FilePath { folder.appending("snapshots").appending(commit) }
    func blob(_ digest: ContentDigest) -> FilePath { blobs.appending(digest.name) }
    func lock(_ digest: ContentDigest) -> FilePath { locks.appending(digest.name + ".lock") }
    private var blobs: FilePath { folder.appending("blobs") }
    private var locks: FilePath { cache.appending(".locks").appending(id.folder) }
    private func reference(_ revision: Revision) -> FilePath {
        folder.appending("refs").appending(revision.description)
    }
    private func tree(_ commit: String) -> FilePath { folder.appending("trees").appending(commit + ".json") }

    /// The commit that a revision was when it was downloaded last; nil if it was not.
    func commit(of revision: Revision) -> String? {
        if revision.isCommit { return revision.description }
        guard let file = try? ReadableFile(reference(revision)), let bytes = try? file.readAll(limit: 4096) else {
            return nil
        }
        let commit = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        return Revision.isCommit(commit) ? commit : nil
    }

    /// The snapshot of a commit if it has all files that a reader opens. What it should have is known from the kept list of names;
    /// without one, from the files that are there unless it `isListed`. Throws ``FormatError`` with what is missing.
    func wholeSnapshot(
        _ commit: String, _ kind: NeededFiles.Kind, isListed: Bool = false
    ) throws(FormatError) -> FilePath {
        let snapshot = snapshot(commit)
        let needed = try NeededFiles(of: kind, in: snapshot.description, among: names(commit, isListed))
        for name in needed.names { _ = try ReadableFile(snapshot.appending(name)) }
        if let index = needed.index {
            for name in try NeededFiles.shards(of: ReadableFile(snapshot.appending(index))) {
                _ = try ReadableFile(snapshot.appending(name))
            }
        }
        return snapshot
    }

    private func names(_ commit: String, _ isListed: Bool) throws(FormatError) -> Set<String> {
        if case .file = PathKind(tree(commit)),
            let kept = try? JSONText.decode(KeptTree.self, from: ReadableFile(tree(commit)), limit: 16 << 20),
            kept.format_version == 1
        {
            return Set(kept.files.keys)
        }
        if isListed { throw FormatError(tree(commit), "is not there") }
        return Set(try PathKind.contents(of: snapshot(commit)).map(\.name))
    }

    /// Whether the snapshot has the file.
    func has(_ file: KnownFile, _ commit: String) -> Bool {
        Self.size(of: snapshot(commit).appending(file.name)) == file.size
    }

    /// Whether the file's content is there.
    func hasBlob(_ file: KnownFile) -> Bool { Self.size(of: blob(file.digest)) == file.size }

    /// The bytes of `file` that are still to come.
    func missingBytes(of file: KnownFile, _ commit: String) -> Int {
        if has(file, commit) || hasBlob(file) { return 0 }
        let part = Self.size(of: blob(file.digest).extended(".incomplete")) ?? 0
        return file.size - (part > file.size ? 0 : part)
    }

    private static func size(of path: FilePath) -> Int? {
        var status = stat()
        guard path.withCString({ stat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(exactly: status.st_size)
    }

    /// The bytes that are free where the blobs are; nil if the system does not say.
    var freeBytes: Int? {
        var status = statvfs()
        guard blobs.withCString({ statvfs($0, &status) }) == 0 else { return nil }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? nil : Int(exactly: bytes)
    }

    // MARK: Writing

    /// Makes the folders of a commit, and a tag by which programs for backups pass over the cache.
    func makeFolders(_ commit: String) throws(FormatError) {
        for path in [blobs, locks, snapshot(commit)] { try Self.makeFolder(path) }
        let tag = cache.appending("CACHEDIR.TAG")
        if case .missing = PathKind(tag) {
            try? Self.write(
                Array(
                    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache directory: https://bford.info/cachedir/\n"
                        .utf8), to: tag)
        }
    }

    /// Links the file's name in the snapshot to its blob. Where links cannot be made, the blob becomes the file.
    func link(_ file: KnownFile, _ commit: String) throws(FormatError) {
        if has(file, commit) { return }
        let path = snapshot(commit).appending(file.name)
        let temporary = path.extended(".\(getpid()).link")
        let target = FilePath("../../blobs").appending(file.digest.name)
        let isLinked = target.withCString { target in
            temporary.withCString { temporary in
                _ = unlink(temporary)
                return symlink(target, temporary) == 0
            }
        }
        let from = isLinked ? temporary : blob(file.digest)
        guard from.withCString({ from in path.withCString { rename(from, $0) } }) == 0 else {
            let fault = String(cString: strerror(errno))
            if isLinked { _ = temporary.withCString { unlink($0) } }
            throw FormatError(path, "cannot be written: \(fault)")
        }
    }

    /// Keeps the commit of a branch or a tag.
    func keep(_ commit: String, of revision: Revision) throws(FormatError) {
        guard !revision.isCommit, self.commit(of: revision) != commit else { return }
        let path = reference(revision)
        try Self.makeFolder(path.parent)
        try Self.write(Array(commit.utf8), to: path)
    }

    /// Keeps the names of a commit's files. A listing that cannot be kept is only not there later.
    func keep(_ listing: RepositoryListing) {
        let path = tree(listing.commit)
        guard case .missing = PathKind(path), let tree = listing.tree,
            let bytes = try? JSONText.encode(tree, pretty: true)
        else { return }
        try? Self.makeFolder(path.parent)
        try? Self.write(bytes, to: path)
    }

    private static func write(_ bytes: [UInt8], to path: FilePath) throws(FormatError) {
        let file = try AtomicFile(path, overwrite: true)
        try file.append(bytes)
        try file.commit()
    }

    /// Makes a folder and those above it.
    private static func makeFolder(_ path: FilePath) throws(FormatError) {
        if case .directory = PathKind(path) { return }
        if path.parent != path, path.parent != FilePath(".") { try makeFolder(path.parent) }
        guard path.withCString({ mkdir($0, 0o777) }) == 0 || errno == EEXIST else {
            throw FormatError(path, "cannot be made: \(String(cString: strerror(errno)))")
        }
    }
}
