import Foundation
import Phi
import PhiTestSupport
import Testing

/// The code of the documentation. Each block of Swift in the articles, the README and the library's comments stands below
/// word for word, so it compiles; what can run with a tiny model runs.
struct SnippetTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private let path = NSTemporaryDirectory() + "snippets-\(UUID().uuidString).phi"
    private let model: LanguageModel
    private let prompt: [TokenID] = [100, 101, 102]
    private let prompts: [[TokenID]] = [[100, 101], [102]]

    init() throws { model = try TinyPhi(context: 256).model(.q8) }

    @Test
    func everyBlockIsHere() throws {
        let here = Self.words(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
        var count = 0
        for file in try Self.documents() {
            for block in Self.blocks(in: try String(contentsOf: file, encoding: .utf8)) {
                count += 1
                #expect(here.contains(Self.words(block)), "\(file.lastPathComponent):\n\(block)")
            }
        }
        #expect(count >= 20)
    }

    /// Lines without indentation, empty ones left out.
    private static func words(_ text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            .joined(separator: "\n")
    }

    private static func documents() throws -> [URL] {
        let sources = ["Phi", "PhiFormat", "PhiTokenizer"].map { root.appending(path: "Sources/" + $0) }
        let files = sources.flatMap { folder in
            (FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects ?? [])
                .compactMap { $0 as? URL }
        }
        return files.filter { ["swift", "md"].contains($0.pathExtension) } + [root.appending(path: "README.md")]
    }

    private static func blocks(in text: String) -> [String] {
        var blocks: [String] = []
        var block: [String]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = line.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("///") { line = line.dropFirst(3).trimmingCharacters(in: .whitespaces) }
            if line == "```swift" {
                block = []
            } else if line == "```", let whole = block {
                blocks.append(whole.joined(separator: "\n"))
                block = nil
            } else {
                block?.append(line)
            }
        }
        return blocks
    }

    /// Compiled and not run: there is no such file.
    private func readme() throws {
        let model = try LanguageModel(contentsOf: "phi-1.phi")
        let session = try Session(model)
        let result = try session.complete("def fibonacci(n):\n", GenerationOptions(maximumTokens: 64)) { text in
            print(text, terminator: "")
            return true
        }
        _ = result
    }

    private func comments() throws {
        do {
            let model = try LanguageModel(contentsOf: "model.phi")
            let session = try Session(model)
            let result = try session.complete("def fibonacci(n):", GenerationOptions(maximumTokens: 64))
            print(result.text)
        }
        do {
            let file = try PhiFile(MappedFile(path: "model.phi"))
            for section in file.sections { print(section.name, section.length) }
        }
    }

    @Test
    func overview() throws {
        try TinyPhi().write(.q8, to: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let model = try LanguageModel(contentsOf: path)
        let session = try Session(model)
        let result = try session.complete("def fibonacci(n):\n", GenerationOptions(maximumTokens: 64))
        print(result.text)
        #expect(!result.tokens.isEmpty)
    }

    @Test
    func options() throws {
        do {
            let options = try SamplingOptions(temperature: 0.7, topP: 0.95, seed: 1)
            #expect(options.topK == 0)
        }
        let options = try GenerationOptions(maximumTokens: 200, stop: ["\ndef ", "\nclass "])
        #expect(options.sampling == .greedy)
    }

    @Test
    func constraints() throws {
        let session = try Session(model)
        let schema = #"""
            {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
            "required": ["name", "age"]}
            """#
        let options = try GenerationOptions(
            maximumTokens: 200, sampling: SamplingOptions(temperature: 0.7, seed: 1), constraint: .jsonSchema(schema))
        let result = try session.complete("# Ann is 32 years old.\nann = ", options)
        #expect(result.text.hasPrefix("{"))
        do {
            let schema = #"{"type": "array", "items": {"type": "integer"}}"#
            let options = try GenerationOptions(constraint: .jsonSchema(schema))
            #expect(options.constraint != nil)
        }
    }

    @Test
    func asynchronous() async throws {
        let session = try AsyncSession(model)
        let options = try GenerationOptions(maximumTokens: 200, stop: ["\ndef "], logProbabilities: 3)
        for try await token in session.tokens(after: "def fibonacci(n):\n", options) {
            print(token.text, terminator: "")
            if let reason = token.stopReason { print("\n(\(reason))") }
        }

        let task = Task {
            var text = ""
            for try await token in session.tokens(after: "x = ") { text += token.text }
            return text
        }
        task.cancel()
        // Unless the text was at its end before.
        if case .failure(let error) = await task.result { #expect(error is CancellationError) }

        let prefix = await session.withSession { $0.save() }
        #expect(prefix.count > 64)
    }

    @Test
    func asynchronousInComments() async throws {
        let options = try GenerationOptions(maximumTokens: 5)
        let session = try AsyncSession(model)
        for try await token in session.tokens(after: "def fibonacci(n):\n", options) {
            print(token.text, terminator: "")
        }
    }

    @Test
    func sampling() throws {
        let session = try Session(model)
        let options = try GenerationOptions(
            maximumTokens: 100, sampling: SamplingOptions(temperature: 0.7, topP: 0.95, seed: 1))
        let result = try session.complete("# A function that adds two numbers\n", options)
        #expect(try result.tokens == Session(model).complete("# A function that adds two numbers\n", options).tokens)
    }

    @Test
    func drafts() throws {
        let code = "def f(x):\n    return x\n"
        let corpus = DraftCorpus(model.tokenizer.encode(code, specialTokens: false))
        let session = try Session(model, speculation: Speculation(corpus: corpus))
        #expect(try session.complete(prompt).tokens == Session(model, speculation: .off).complete(prompt).tokens)
    }

    /// Compiled and not run: there is no such file.
    private func draftModels() throws {
        let session = try Session(model, speculation: Speculation(draftModel: LanguageModel(contentsOf: "small.phi")))
        _ = session
    }

    @Test
    func processors() throws {
        let session = try Session(model)
        let options = try GenerationOptions(maximumTokens: 30)
        struct NoRepeat: LogitProcessor {
            func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
                if let last = history.last { logits[Int(last)] = -.infinity }
            }
        }
        let sampler = Sampler(
            try SamplingOptions(temperature: 0.7), vocabulary: model.config.vocabulary,
            processors: [NoRepeat(), try LogitBias([198: 2])])
        let result = try session.complete(prompt, options, sampler: sampler)
        #expect(zip(result.tokens, result.tokens.dropFirst()).allSatisfy { $0 != $1 })
    }

    @Test
    func processorsInComments() throws {
        let digits: Set<TokenID> = [15, 16, 17]
        struct DigitsOnly: LogitProcessor {
            let digits: Set<TokenID>

            func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
                for token in logits.indices where !digits.contains(TokenID(token)) { logits[token] = -.infinity }
            }
        }
        var sampler = Sampler(.greedy, vocabulary: model.config.vocabulary, processors: [DigitsOnly(digits: digits)])
        let session = try Session(model)
        try session.append(prompt)
        let token = session.withLogits { sampler.sample($0, history: session.tokens) }
        #expect(token.map(digits.contains) == true)
    }

    @Test
    func samplersInComments() throws {
        let session = try Session(model)
        try session.append(prompt)
        let options = SamplingOptions.greedy
        var sampler = Sampler(options, vocabulary: model.config.vocabulary)
        let token = session.withLogits { sampler.sample($0, history: session.tokens) }

        let best = session.withLogits { LogProbabilities($0).top(5) } ?? []
        for choice in best { print(choice.token, choice.logProbability) }
        #expect(best.first?.token == token)
    }

    @Test
    func samplers() throws {
        let session = try Session(model)
        let options = try GenerationOptions(maximumTokens: 5)
        struct SecondBest: TokenSampler {
            func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
                LogProbabilities(logits).top(2).last?.token ?? 0
            }
        }
        let result = try session.complete(prompt, options, sampler: SecondBest())
        #expect(result.tokens.first != Optional(try session.complete(prompt, options).tokens[0]))
        try session.append([])
        func inComments() throws {
            struct SecondBest: TokenSampler {
                func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
                    LogProbabilities(logits).top(2).last?.token ?? 0
                }
            }
            let result = try session.complete(prompt, sampler: SecondBest())
            _ = result
        }
    }

    @Test
    func probabilities() throws {
        let session = try Session(model)
        let tokens = prompt
        try session.append(tokens) { place, logits in
            guard place + 1 < tokens.count else { return }
            print(tokens[place + 1], LogProbabilities(logits).of(tokens[place + 1]))
        }
        #expect(session.tokens == prompt)
    }

    @Test
    func generations() throws {
        let session = try Session(model)
        let options = try GenerationOptions(maximumTokens: 5)
        var generation = Generation(session, prompt, options)
        while let next = try generation.next() { print(next.text, terminator: "") }
        #expect(generation.stopReason != nil)
    }

    @Test
    func prefixes() throws {
        let options = try GenerationOptions(maximumTokens: 5)
        let session = try Session(model)
        try session.append(model.tokenizer.encode("def f(x):\n    return "))
        let texts = try (0..<3).map { seed in
            let options = try GenerationOptions(
                maximumTokens: 8, sampling: SamplingOptions(temperature: 1, seed: UInt64(seed)))
            return try session.fork().complete(session.tokens, options).text
        }
        #expect(Set(texts).count > 1)

        let saved = session.save()
        let later = try Session(model)
        do {
            try later.restore(saved)
        } catch {
            print("computed anew:", error)
        }
        let result = try later.complete(session.tokens, options)
        #expect(result.reusedTokens == result.promptTokens - 1)

        let folder = try TemporaryFolder()
        let directory = folder.path
        try session.save(to: directory + "/prefix")
        let isRestored = try later.restore(from: directory + "/prefix")  // false if there is no such file
        #expect(isRestored)
    }

    @Test
    func threads() throws {
        let engine = try Engine(model, context: 256, threads: 2)
        let session = try Session(engine)
        print(session.threads, "of", Engine.defaultThreads)
        #expect(session.threads == 2)
    }

    /// Compiled and not run: there is no such file.
    private func verification() throws {
        let model = try LanguageModel(contentsOf: "phi-1.phi")
        try model.file.verify()
        try model.verifyWeights()
        try model.verifyTests()
    }

    @Test
    func stepsTogether() throws {
        let engine = try Engine(model, context: 256)
        let sessions = try prompts.map { _ in try Session(engine) }
        try engine.append(zip(sessions, prompts).map { (session: $0, tokens: $1) })
        for _ in 0..<16 {
            try engine.append(
                sessions.map { session in
                    (session: session, tokens: session.withLogits { [LogProbabilities($0).likeliest] } ?? [])
                })
        }
        let alone = try Session(model).complete(prompts[1], GenerationOptions(maximumTokens: 16))
        #expect(sessions[1].tokens.dropFirst(1).starts(with: alone.tokens))
    }

    private func together() throws {
        let engine = try Engine(model)
        let sessions = try prompts.map { _ in try Session(engine) }
        try engine.append(zip(sessions, prompts).map { (session: $0, tokens: $1) })
    }
}
