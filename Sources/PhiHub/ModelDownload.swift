import PhiCheckpoint
import PhiFormat
import PhiHTTP
import PhiSystem

/// The download of a model or an adapter into Hugging Face's cache.
///
///     let download = try ModelDownload(HubSettings(), agent: "phi/1.0", observer)
///     let directory = try download.directory(of: id, revision, .model)     // a snapshot with all that its reader opens
package final class ModelDownload {
    private let settings: HubSettings
    private let agent: String
    private let observer: DownloadObserver
    private var progress = DownloadProgress(totalBytes: 0)
    private var isNoted = false

    package init(_ settings: HubSettings, agent: String, _ observer: DownloadObserver) {
        self.settings = settings
        self.agent = agent
        self.observer = observer
    }

    /// The folder with the files of a revision, after downloading those that the cache lacks. A whole snapshot in the cache is taken
    /// when the hub may not be asked, does not answer or refuses it.
    ///
    /// Throws ``FormatError`` when that cannot be, and `CancellationError` when the observer says so; what has arrived stays, and the
    /// next call goes on from there.
    package func directory(of id: ModelID, _ revision: Revision, _ kind: NeededFiles.Kind) throws -> FilePath {
        let entry = CacheEntry(id, in: settings.cache)
        if let variable = settings.offline {
            return try cached(entry, revision, kind, because: "\(variable) forbids to download it")
        }
        // A commit does not change.
        if revision.isCommit, let whole = try? entry.wholeSnapshot(revision.description, kind, isListed: true) {
            return whole
        }
        func cachedInstead(_ fault: FormatError) throws(FormatError) -> FilePath {
            let snapshot = try cached(entry, revision, kind, because: "\(fault)")
            observer.notice("\(fault); taking \(id) from the cache, commit \(snapshot.name)")
            return snapshot
        }
        let connection: HTTPConnection
        do throws(FormatError) {
            connection = try HTTPConnection(settings.http(agent: agent))
        } catch {
            return try cachedInstead(error)
        }
        let client = HubClient(settings: settings, connection: connection, observer: observer)
        let listing: RepositoryListing
        do {
            listing = try client.listing(id, revision)
        } catch let unreachable as HubClient.Unreachable {
            return try cachedInstead(unreachable.error)
        } catch let refusal as FormatError {
            // For example of a token that has expired. What is in the cache was given to this user before.
            guard let snapshot = try? cachedInstead(refusal) else { throw refusal }
            return snapshot
        }
        try download(listing, entry, kind, client)
        try? entry.keep(listing.commit, of: revision)
        return entry.snapshot(listing.commit)
    }

    private func cached(
        _ entry: CacheEntry, _ revision: Revision, _ kind: NeededFiles.Kind, because reason: String
    ) throws(FormatError) -> FilePath {
        guard let commit = entry.commit(of: revision) else {
            let name = revision.description == "main" ? "" : ", revision \(revision.description.shown),"
            throw FormatError(
                entry.id.description,
                "is no file or directory,\(name) and not in the cache \(settings.cache); \(reason)")
        }
        do throws(FormatError) {
            return try entry.wholeSnapshot(commit, kind)
        } catch {
            throw FormatError(entry.id.description, "is not whole in the cache (\(error)); \(reason)")
        }
    }

    private func download(
        _ listing: RepositoryListing, _ entry: CacheEntry, _ kind: NeededFiles.Kind, _ client: HubClient
    ) throws {
        let id = entry.id.description, commit = listing.commit
        let needed = try NeededFiles(of: kind, in: id, among: Set(listing.files.keys))
        var files: [KnownFile] = []
        for name in needed.names { files.append(try listing.file(name, in: id)) }
        if let name = needed.index {
            let index = try listing.file(name, in: id)
            try fetch([index], commit, entry, client, listing)
            for shard in try NeededFiles.shards(of: ReadableFile(entry.snapshot(commit).appending(name))) {
                files.append(try listing.file(shard, in: id))
            }
        }
        try fetch(files, commit, entry, client, listing)
    }

    /// Downloads files one by one, in their order: the weights come last, so that they are there only if all is.
    private func fetch(
        _ files: [KnownFile], _ commit: String, _ entry: CacheEntry, _ client: HubClient, _ listing: RepositoryListing
    ) throws {
        let files = files.filter { !entry.has($0, commit) }
        if files.isEmpty { return }
        try entry.makeFolders(commit)
        entry.keep(listing)
        var total = 0, missing = 0
        for file in files {
            let (sum, overflow) = total.addingReportingOverflow(file.size)
            guard !overflow else { throw FormatError(entry.id.description, "the hub tells impossible sizes") }
            total = sum
            missing += entry.missingBytes(of: file, commit)
        }
        if missing > 0 {
            let cache = settings.cache
            if let free = entry.freeBytes, missing > free {
                throw FormatError(
                    entry.id.description,
                    "needs \(shownBytes(missing)) more, but \(cache) has \(shownBytes(free)) free;"
                        + " free some, or set HF_HOME to a folder elsewhere")
            }
            if !isNoted { observer.notice("downloading \(entry.id) to \(cache)") }
            isNoted = true
        }
        progress = DownloadProgress(totalBytes: total)
        for file in files {
            if entry.hasBlob(file) {
                progress.skip(file.size)
            } else {
                try fetchBlob(file, commit, entry, client)
            }
            try entry.link(file, commit)
        }
    }

    private func fetchBlob(_ file: KnownFile, _ commit: String, _ entry: CacheEntry, _ client: HubClient) throws {
        var isNoted = false
        let lock = try FileLock(entry.lock(file.digest)) {
            if !isNoted { observer.notice("waiting for another process that downloads \(file.name.shown)") }
            isNoted = true
            try observer.pause(milliseconds: 200)
        }
        defer { withExtendedLifetime(lock) {} }
        let blob = entry.blob(file.digest)
        if entry.hasBlob(file) { return progress.skip(file.size) }
        let part = try PartialFile(blob.extended(".incomplete"), of: file)
        do {
            try part.readExisting(while: observer.shouldContinue)
            progress.skip(part.size)
            var counted = part.size
            try client.fetch(file, of: entry.id, commit: commit, to: part) {
                self.count(part.size - counted)
                counted = part.size
            }
            try part.finish(as: blob)
        } catch let mismatch as PartialFile.Mismatch {
            part.delete()
            throw FormatError(
                entry.id.description, "\(file.name.shown) \(mismatch.fault); it is deleted, and another try may help")
        } catch {
            if part.size == 0 { part.delete() }
            throw error
        }
    }

    private func count(_ bytes: Int) {
        bytes < 0 ? progress.skip(bytes) : progress.add(bytes, at: Self.now)
        observer.progress(progress)
    }

    private static let start = ContinuousClock.now
    private static var now: Double {
        let elapsed = start.duration(to: .now).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
    }
}
