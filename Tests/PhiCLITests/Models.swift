import Foundation
import PhiTestSupport
import Testing

/// Models that several tests read, converted once by the command under test.
enum Models {
    /// The model in one of ``types``; its completions are ASCII and never end by themselves.
    static func path(_ type: String = "q4") throws -> String {
        try made.get().at("speaker.\(type).phi")
    }

    /// A q4 model with a context of 65,536 tokens, which takes minutes to fill; its completions are any bytes.
    static func long() throws -> String { try made.get().at("long.phi") }

    /// A model that ends every completion at once.
    static func silent() throws -> String { try made.get().at("silent.phi") }

    /// The directory that ``path(_:)`` comes from.
    static func checkpoint() throws -> String { try made.get().at("speaker") }

    static let types = ["q3", "q4", "q8", "f16", "f32"]

    private static let made = Result {
        let folder = try TemporaryFolder()
        let speaker = TinyCheckpoint().speakingASCII()
        let checkpoint = try speaker.write(to: folder, "speaker")
        for type in types { try convert(checkpoint, folder.at("speaker.\(type).phi"), type) }
        var long = TinyCheckpoint(layers: 8, context: 65_536)
        long.edit("lm_head.bias") { $0[TinyTokenizer.endOfText] = -1000 }
        try convert(long.write(to: folder, "long"), folder.at("long.phi"))
        var silent = TinyCheckpoint(layers: 1)
        silent.edit("lm_head.bias") { $0[TinyTokenizer.endOfText] = 1000 }
        try convert(silent.write(to: folder, "silent"), folder.at("silent.phi"))
        leftover.set(folder.path)
        atexit { Models.leftover.remove() }
        return folder
    }

    private static let leftover = Leftover()

    private static func convert(_ checkpoint: String, _ output: String, _ type: String = "q4") throws {
        let outcome = try Command.run("convert", checkpoint, "-o", output, "--type", type)
        try #require(outcome.status == 0, "\(outcome.errorText)")
    }
}

/// A folder that goes away with the process.
private final class Leftover: @unchecked Sendable {
    private var path: String?

    func set(_ path: String) { self.path = path }

    func remove() { if let path { try? FileManager.default.removeItem(atPath: path) } }
}

/// A fresh folder with a fresh checkpoint and no model yet.
struct Workshop {
    let folder: TemporaryFolder
    let checkpoint: String
    let output: String

    init(_ checkpoint: TinyCheckpoint = TinyCheckpoint()) throws {
        folder = try TemporaryFolder()
        self.checkpoint = try checkpoint.write(to: folder)
        output = folder.at("model.phi")
    }

    /// Runs `phi convert` on it.
    func convert(_ options: String..., environment: [String: String] = [:]) throws -> Outcome {
        try Command.run(["convert", checkpoint, "-o", output] + options, environment: environment)
    }
}
