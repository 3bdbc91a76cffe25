import PhiFormat
import PhiJSON

/// The files of a repository at a commit, as the hub lists them.
struct RepositoryListing: Sendable {
    let commit: String
    let files: [String: RemoteFile]

    /// Decodes the hub's answer. Throws ``FormatError`` about `source` when it is none.
    init(_ answer: [UInt8], from source: String) throws(FormatError) {
        let model = try JSONText.decode(Answer.self, from: answer, of: source)
        guard Revision.isCommit(model.sha) else { throw FormatError(source, "names no commit: \(model.sha.shown)") }
        commit = model.sha
        files = Dictionary(model.siblings.map { ($0.rfilename, RemoteFile($0)) }) { first, _ in first }
    }

    private struct Answer: Decodable {
        let sha: String
        let siblings: [Sibling]
    }

    fileprivate struct Sibling: Decodable {
        let rfilename: String
        let size: Int?
        let blobId: String?
        let lfs: Large?
    }

    /// A file that git keeps outside its objects.
    fileprivate struct Large: Decodable {
        let sha256: String?
        let size: Int?
    }

    /// The file `name`. Throws ``FormatError`` about `repository` when there is none, or the hub says too little to check it.
    func file(_ name: String, in repository: String) throws(FormatError) -> KnownFile {
        guard let file = files[name] else { throw FormatError(repository, "has no file \(name.shown)") }
        guard let size = file.size, size >= 0, let digest = file.digest else {
            throw FormatError(repository, "the hub tells no size or no hash of \(name.shown), so it cannot be checked")
        }
        return KnownFile(name: name, size: size, digest: digest)
    }

    /// The listing as Hugging Face's library keeps it (`_tree_cache.py`), by which it knows whether a snapshot is whole; nil if
    /// the hub did not tell all of it.
    var tree: KeptTree? {
        var kept: [String: KeptTree.File] = [:]
        for (name, file) in files {
            guard let size = file.size, let blob = file.blob else { return nil }
            kept[name] = KeptTree.File(
                size: size, blob_id: blob, lfs_sha256: file.sha256, lfs_size: file.sha256.map { _ in size })
        }
        return KeptTree(format_version: 1, files: kept)
    }
}

/// What the hub tells about a file, if it does.
struct RemoteFile: Sendable {
    let size: Int?
    let blob: String?
    let sha256: String?

    fileprivate init(_ sibling: RepositoryListing.Sibling) {
        size = sibling.lfs?.size ?? sibling.size
        blob = sibling.blobId.flatMap { Revision.isCommit($0) ? $0 : nil }
        sha256 = sibling.lfs?.sha256.flatMap { $0.utf8.count == 64 && $0.utf8.allSatisfy(isHexadecimal) ? $0 : nil }
    }

    /// The digest of its content: SHA-256 of a large file, git's SHA-1 of another.
    var digest: ContentDigest? { sha256.map(ContentDigest.sha256) ?? blob.map(ContentDigest.git) }
}

/// A file of a repository with all that is needed to download and check it.
struct KnownFile: Sendable, Equatable {
    let name: String
    let size: Int
    let digest: ContentDigest
}

/// The content of `trees/COMMIT.json`.
struct KeptTree: Codable {
    let format_version: Int
    let files: [String: File]

    struct File: Codable {
        let size: Int
        let blob_id: String
        let lfs_sha256: String?
        let lfs_size: Int?
    }
}
