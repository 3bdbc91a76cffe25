import Foundation
import PhiTestSupport
import Testing

/// `phi complete --prompt-cache`
@Suite struct PromptCacheTests {
    private let folder: TemporaryFolder
    private let cache: String
    private let prompt = "def is_even(n):\n    return n % 2 == 0\n\ndef is_odd(n):\n"

    init() throws {
        folder = try TemporaryFolder()
        cache = folder.at("cache")
    }

    private func complete(
        _ prompt: String, _ options: String..., model: String? = nil
    ) throws -> (result: Completed, error: String) {
        let outcome = try Command.run(
            ["complete", "-m", model ?? Models.path(), "-n", "8", "--json", "--prompt-cache", cache, prompt] + options)
        return (try outcome.json(Completed.self), outcome.errorText)
    }

    @Test func laterCallsGoOnWithTheSameText() throws {
        let first = try complete(prompt).result
        let plain = try Completed.of(prompt, "-n", "8")
        #expect(first.text == plain.text && first.timings.cached_tokens == 0)
        let mode = try FileManager.default.attributesOfItem(atPath: cache)[.posixPermissions] as? Int
        #expect(mode == 0o600 && folder.names == ["cache"])
        let bytes = try readFile(cache)
        let again = try complete(prompt).result
        #expect(again.text == plain.text && again.timings.cached_tokens == plain.prompt_ids.count - 1)
        #expect(try readFile(cache) == bytes, "equal sequences give equal bytes")
        // A longer prompt, and one that branches off.
        for next in [prompt + plain.text + "    return ", "def is_even(x):\n"] {
            let (result, error) = try complete(next)
            #expect(result.text == (try Completed.of(next, "-n", "8")).text && result.timings.cached_tokens > 4)
            #expect(error.isEmpty, "\(error)")
        }
        let summary = try Command.run("complete", "-m", Models.path(), "-n", "1", "--prompt-cache", cache, prompt)
        #expect(summary.status == 0 && summary.errorText.contains(" cached, "), "\(summary.errorText)")
    }

    @Test func whatDoesNotFitIsComputedAndReplaced() throws {
        _ = try complete(prompt)
        var damaged = try readFile(cache)
        damaged[damaged.count / 2] ^= 1
        try folder.write("cache", damaged)
        let plain = try Completed.of(prompt, "-n", "8")
        var (result, error) = try complete(prompt)
        #expect(result.text == plain.text)
        #expect(error == "phi: \(cache): the snapshot is truncated or altered; the prompt is computed\n")
        #expect(try complete(prompt).error.isEmpty)
        try folder.write("cache", readFile(cache).dropLast(100))
        #expect(try complete(prompt).error.contains("truncated"))
        (result, error) = try complete(prompt, model: Models.path("q8"))
        #expect(error.contains("belongs to another model file") && result.timings.cached_tokens == 0)
        (result, error) = try complete(prompt, "--kv-cache", "f32", model: Models.path("q8"))
        #expect(error.contains("KV cache is"), "\(error)")
    }

    @Test func otherFilesAreNotReplaced() throws {
        try folder.write("cache", "my notes")
        func refused(_ fault: String) throws {
            let outcome = try Command.run("complete", "-m", Models.path(), "-n", "1", "--prompt-cache", cache, "x")
            #expect(outcome.status == 1 && outcome.output.isEmpty)
            #expect(outcome.errorText == "phi: \(cache): \(fault)\n")
        }
        try refused("is not a prompt cache, so it is not replaced; name another file")
        #expect(try readFile(cache) == Array("my notes".utf8))
        try FileManager.default.removeItem(atPath: cache)
        for target in ["notes", "nothing"] {
            if target == "notes" { try folder.write(target, "my notes") }
            try FileManager.default.createSymbolicLink(atPath: cache, withDestinationPath: folder.at(target))
            try refused("is a link, which is not followed")
            try FileManager.default.removeItem(atPath: cache)
        }
        #expect(folder.names == ["notes"])
        _ = try complete(prompt)
        chmod(cache, 0o602)
        try refused("is open to other users; chmod go-w closes it")
        try FileManager.default.removeItem(atPath: cache)
        try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: false)
        try refused("is a directory")
    }
}
