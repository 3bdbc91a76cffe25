import ArgumentParser
import Phi
import PhiCheckpoint
import PhiCommandSupport
import PhiFormat
import PhiHub

/// A model or an adapter as an argument: a path, or the id of a repository of Hugging Face's hub. A path that exists is one.
enum CheckpointArgument {
    /// The id of a model on the hub, if nothing is at `path` and it has the form of one.
    static func id(_ path: FilePath) -> ModelID? {
        guard case .missing = PathKind(path), !PathKind.isLink(path) else { return nil }
        return ModelID(path.description)
    }

    /// `path`, or the place of a download if nothing is there and it has the form of an id. Throws `ValidationError` for a
    /// revision of anything else.
    static func path(_ path: FilePath, _ kind: NeededFiles.Kind, revision: String? = nil) throws -> FilePath {
        guard let id = id(path) else {
            if revision != nil { throw ValidationError("--revision is for the id of a model, and \(path) is none.") }
            return path
        }
        guard let revision = Revision(revision ?? "main") else {
            throw ValidationError("--revision takes a branch, a tag or a commit.")
        }
        let settings = try HubSettings()
        let bar = DownloadBar(isShown: Console.errorIsTerminal && !settings.hidesProgress)
        defer { bar.clear() }
        let observer = DownloadObserver(
            shouldContinue: { !Interrupt.isNoted },
            notice: { line in
                bar.clear()
                Console.error("phi: \(line)\n")
            },
            progress: { bar.show($0) })
        return try ModelDownload(settings, agent: "phi/\(swiftPhiVersion)", observer).directory(of: id, revision, kind)
    }
}

/// The line on standard error that shows a download.
private final class DownloadBar {
    private let isShown: Bool
    private var last: ContinuousClock.Instant?

    init(isShown: Bool) { self.isShown = isShown }

    /// Shows `progress`, twice a second at most.
    func show(_ progress: DownloadProgress) {
        let now = ContinuousClock.now
        guard isShown, progress.totalBytes > 0, last.map({ $0.duration(to: now) > .milliseconds(500) }) ?? true else {
            return
        }
        last = now
        let share = Double(progress.bytes) / Double(progress.totalBytes)
        var line =
            "download \(bar(share, width: 20)) \(shownBytes(progress.bytes)) of \(shownBytes(progress.totalBytes))"
        if let rate = progress.rate { line += ", \(shownBytes(Int(bounded: rate)))/s" }
        if let left = progress.secondsLeft { line += left < 120 ? ", \(left) s left" : ", \(left / 60) min left" }
        Console.error("\r\(line)\u{1B}[K")
    }

    func clear() {
        if isShown, last != nil { Console.error("\r\u{1B}[K") }
        last = nil
    }
}
