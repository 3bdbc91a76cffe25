import ArgumentParser
import Phi
import PhiFormat
import PhiCommandSupport
import PhiJSON
import PhiTokenizer

/// `phi complete`
struct Complete: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Complete a prompt.",
        discussion: """
            Prints the prompt and streams the completion, then prints timings to standard error. Ctrl-C ends the completion.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup var sampling: SamplingArguments
    @OptionGroup var speculation: SpeculationOptions

    @Argument(help: "The prompt; - for standard input.")
    var prompt: TextArgument?

    @Option(name: [.short, .long], help: "Read the prompt from a file.")
    var file: FilePath?

    @Option(
        help: ArgumentHelp(
            "Begin with the tokens and the KV cache of an earlier call, and replace the file by those of this one.",
            valueName: "file"))
    var promptCache: FilePath?

    @Option(name: [.customShort("n"), .long, .customLong("tokens")], help: "Largest number of tokens to generate.")
    var maxTokens = 256

    @Option(help: "A string that ends the completion and is not printed; repeatable.")
    var stop: [TextArgument] = []

    @Option(help: "Keep the completion to texts that match this regular expression as a whole.")
    var regex: TextArgument?

    @Option(
        help: """
            Keep the completion to JSON that is valid under this schema: a file, or JSON that begins with a brace. oneOf is taken \
            as anyOf.
            """)
    var jsonSchema: FilePath?

    @Flag(help: "Go on after tokens that end a text.")
    var ignoreEos = false

    @Flag(help: "Print the completion without the prompt.")
    var noEcho = false

    @Flag(help: "Print one JSON object at the end: prompt, text, ids, stop reason, timings.")
    var json = false

    func validate() throws {
        guard (prompt == nil) != (file == nil) else {
            throw ValidationError(
                "Give a prompt, behind -- if it begins with a dash, or a file with -f, or - for standard input.")
        }
        guard regex == nil || jsonSchema == nil else {
            throw ValidationError("Give --regex or --json-schema, not both.")
        }
        let sources = [isFromInput, file?.isStandardInput ?? false, jsonSchema?.isStandardInput ?? false]
        guard sources.count(where: \.self) < 2 else {
            throw ValidationError("Standard input is one text: only one of the prompt, -f and --json-schema can be -.")
        }
        _ = try options(seed: 0)
    }

    func run() throws {
        let constraint = try constraint()
        if let promptCache { try AtomicFile.check(promptCache, overwrite: true) }
        let model = try model.open()
        let options = try options(seed: sampling.seed ?? .random(in: 0...UInt64(UInt32.max)), constraint)
        let source = file.map(Console.name) ?? (isFromInput ? Console.inputName : "prompt")
        let text = try promptBytes()
        let ids = model.tokenizer.encode(bytes: text)
        let session = try session.session(model, speculation.speculation(model))
        guard ids.count <= session.context else {
            throw FormatError(source, "\(SessionError.doesNotFit(ids.count, limit: session.context))")
        }

        let restored = try promptCache.map { try Self.restore($0, session) }

        // Only now: while standard input is read, the signal itself ends the process.
        Interrupt.catchSignals()
        var failure: (any Error)?
        func show(_ bytes: [UInt8]) -> Bool {
            do { try Console.write(bytes) } catch { failure = error }
            return failure == nil
        }
        let isStreaming = !json
        if isStreaming, !noEcho, !show(text) { throw failure ?? BrokenPipe() }
        let completion = try session.complete(ids, options) { piece in
            (!isStreaming || show(Array(piece.utf8))) && !Interrupt.isNoted
        }
        if let failure { throw failure }
        if json {
            let seed = options.sampling.temperature > 0 ? options.sampling.seed : nil
            try Console.writeJSON(completion.json(noEcho ? nil : (text, ids), seed: seed, session.engine.draftCounts))
        } else {
            try Console.write("\n")
            Console.error(completion.summary(session.engine.draftCounts))
        }
        if completion.stopReason == .cancelled { throw CancellationError() }
        if let promptCache, session.tokens != restored { try session.save(to: promptCache) }
    }

    /// Restores a session from a file if there is one, and returns its tokens. Throws when the file is no snapshot, so that it is
    /// not replaced.
    private static func restore(_ file: FilePath, _ session: Session) throws -> [TokenID] {
        do throws(SnapshotError) {
            _ = try session.restore(from: file)
        } catch .file(let error) {
            throw error
        } catch .notASnapshot {
            throw FormatError(file, "is not a prompt cache, so it is not replaced; name another file")
        } catch {
            Console.error("phi: \("\(file): \(error)".printable); the prompt is computed\n")
        }
        return session.tokens
    }

    /// Whether the prompt is `-`.
    private var isFromInput: Bool { prompt?.bytes == [UInt8(ascii: "-")] }

    private func promptBytes() throws -> [UInt8] {
        if let file { return try Console.read(file, limit: 1 << 26) }
        if let prompt, !isFromInput { return prompt.bytes }
        return try Console.readInput(limit: 1 << 26)
    }

    private func constraint() throws -> Constraint? {
        var schema = jsonSchema?.bytes
        if let file = jsonSchema, file.bytes.first != UInt8(ascii: "{") {
            schema = try Console.read(file, limit: 1 << 20)
        }
        do throws(OptionError) {
            if let regex { return try .regex(regex.text) }
            return try schema.map { bytes throws(OptionError) in try .jsonSchema(String(decoding: bytes, as: UTF8.self))
            }
        } catch {
            if let file = jsonSchema, file.bytes.first != UInt8(ascii: "{") {
                throw FormatError(Console.name(of: file), "is no schema to keep to: \(error)")
            }
            throw ValidationError(error.description)
        }
    }

    private func options(seed: UInt64, _ constraint: Constraint? = nil) throws -> GenerationOptions {
        let sampling = try sampling.options(seed: seed)
        do throws(OptionError) {
            return try GenerationOptions(
                maximumTokens: maxTokens, sampling: sampling, stop: stop.map(\.text), ignoresEndOfText: ignoreEos,
                constraint: constraint)
        } catch {
            throw ValidationError(error.description)
        }
    }
}

extension Completion {
    /// Tokens per second after the first.
    fileprivate var decodeRate: Double? {
        tokens.count > 1 && timings.decode > 0 ? Double(tokens.count - 1) / timings.decode : nil
    }

    fileprivate var prefillRate: Double? {
        let count = promptTokens - reusedTokens
        return count > 0 && timings.prefill > 0 ? Double(count) / timings.prefill : nil
    }

    /// The line of timings on standard error.
    fileprivate func summary(_ drafts: DraftCounts) -> String {
        let reused = reusedTokens > 0 ? ", \(reusedTokens) cached" : ""
        var parts = ["prompt \(promptTokens) tokens\(reused)" + (prefillRate.map { ", \($0.fixed(1)) tok/s" } ?? "")]
        parts.append("completion \(tokens.count) tokens" + (decodeRate.map { ", \($0.fixed(1)) tok/s" } ?? ""))
        if drafts.drafted > 0 { parts.append("\(drafts.accepted) of \(drafts.drafted) drafted tokens accepted") }
        if let first = timings.firstToken { parts.append("first token after \(first.fixed(3)) s") }
        return "phi: " + parts.joined(separator: "; ") + "; \(stopReason)\n"
    }

    /// The output of `--json`.
    fileprivate func json(
        _ prompt: (bytes: [UInt8], ids: [TokenID])?, seed: UInt64?, _ drafts: DraftCounts
    ) -> JSONObject {
        var stopString: String?
        if case .stopString(let string) = stopReason { stopString = string }
        return [
            "prompt": prompt.map { String(decoding: $0.bytes, as: UTF8.self) }, "prompt_ids": prompt?.ids,
            "text": text, "ids": tokens,
            "stop_reason": stopReason.name, "stop_string": stopString, "seed": seed,
            "timings": [
                "cached_tokens": reusedTokens, "prefill_seconds": timings.prefill,
                "prefill_tokens_per_second": prefillRate,
                "decode_seconds": timings.decode, "decode_tokens_per_second": decodeRate,
                "first_token_seconds": timings.firstToken, "drafted_tokens": drafts.drafted,
                "accepted_tokens": drafts.accepted,
            ] as JSONObject,
        ]
    }
}
