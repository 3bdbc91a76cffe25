import ArgumentParser
import CPhiModel
import Phi
import PhiFormat

/// The option `-m`.
package struct ModelOptions: ParsableArguments {
    @Option(name: [.short, .long], help: "A .phi file. Without it, the built-in small model.")
    package var model: FilePath?

    package init() {}

    /// Opens the model.
    package func open() throws -> LanguageModel { try LanguageModel(openFile()) }

    /// Opens the file only.
    package func openFile() throws -> PhiFile { try Self.open(model) }

    /// Opens the file at `path`; nil: the built-in model.
    package static func open(_ path: FilePath?) throws -> PhiFile {
        if let path { return try PhiFile(MappedFile(path)) }
        let bytes = UnsafeRawBufferPointer(start: phi_small_model(), count: phi_small_model_size())
        return try PhiFile(MappedFile(permanent: bytes, name: "built-in model"))
    }
}

/// The option `-m`, or the file as an argument.
package struct ModelOrPath: ParsableArguments {
    @OptionGroup private var option: ModelOptions

    @Argument(help: "The .phi file, as -m.")
    private var path: FilePath?

    package init() {}

    package func validate() throws {
        if option.model != nil, path != nil { throw ValidationError("Give the .phi file by -m or alone, not both.") }
    }

    /// Whether a file is named; if not, the built-in model is meant.
    package var isGiven: Bool { option.model != nil || path != nil }

    /// Opens the file.
    package func openFile() throws -> PhiFile { try ModelOptions.open(option.model ?? path) }
}

/// The options of a session.
package struct SessionOptions: ParsableArguments {
    @Option(
        name: [.customShort("t"), .long],
        help: "Threads to compute on. Without it, one for each core. Results do not depend on it.")
    package var threads: Int?

    @Option(
        name: [.customShort("c"), .long],
        help: "Positions of the KV cache, at most the model's context, which is the default.")
    package var context: Int?

    @Option(
        help: ArgumentHelp(
            "Encoding of the KV cache: f32, f16 or q8. Without it, f32 for f32 models, q8 for q3 and q4, else f16.",
            valueName: "type"))
    package var kvCache: CacheEncoding?

    package init() {}

    package func validate() throws {
        if let threads { try ThreadCounts.validate([threads], of: "--threads") }
        if let context, context < 1 { throw ValidationError("--context takes 1 or more.") }
    }

    package func session(_ model: LanguageModel, _ speculation: Speculation = .off) throws -> Session {
        ThreadCounts.start(threads)
        try model.checkContext(context)
        return try Session(model, context: context, threads: threads, cache: kvCache, speculation: speculation)
    }
}

extension LanguageModel {
    /// Throws ``FormatError`` when the option `-c` asks for more than the model has.
    package func checkContext(_ context: Int?) throws(FormatError) {
        guard let context, context > config.context else { return }
        throw FormatError(file.path, "has a context of \(config.context) tokens, less than the \(context) of -c")
    }
}

/// Requested numbers of threads.
package enum ThreadCounts {
    /// Throws a `ValidationError` naming `option` when a number is out of range.
    package static func validate(_ counts: [Int], of option: String) throws {
        guard counts.allSatisfy(Engine.threadCounts.contains) else {
            throw ValidationError("\(option) takes 1 to \(Engine.threadCounts.upperBound).")
        }
    }

    /// Starts as many threads, by default one for each core, and warns if the system allows fewer.
    package static func start(_ count: Int?) {
        let count = count ?? Engine.defaultThreads
        let started = Engine.startThreads(count)
        guard started < count else { return }
        Console.warn("the system allows \(started) of \(count) threads; results are the same")
    }
}

extension CacheEncoding: ExpressibleByArgument {}
