import Foundation
import PhiTestSupport
import Testing

/// Sources of the prompt of `phi complete`, and refusals.
@Suite struct CompletePromptTests {
    private static let prompt = "def naïve(größe):\n    \"\"\"日本 😀\"\"\"\n\treturn"

    private func complete(_ options: String..., input: [UInt8] = []) throws -> Outcome {
        try Command.run(["complete", "-m", Models.path(), "-n", "5"] + options, input: input)
    }

    @Test func isTheSameFromEverywhere() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("prompt.txt", Self.prompt)
        let expected = try complete(Self.prompt)
        #expect(expected.status == 0 && expected.outputText.hasPrefix(Self.prompt))
        #expect(try complete("-f", file).output == expected.output)
        #expect(try complete("-", input: Array(Self.prompt.utf8)).output == expected.output)
        #expect(try complete("-f", "-", input: Array(Self.prompt.utf8)).output == expected.output)
        let piped = #"printf '%s' "$2" | "$PHI" complete -m "$1" -n 5 -"#
        #expect(try Command.shell(piped, Models.path(), Self.prompt).output == expected.output)
        for source in ["/dev/stdin", "-"] {
            #expect(try complete("-f", source, input: Array(Self.prompt.utf8)).output == expected.output)
        }
        let fifo = folder.at("fifo")
        let named = #"mkfifo "$3" && (printf '%s' "$2" > "$3" & "$PHI" complete -m "$1" -n 5 -f "$3")"#
        #expect(try Command.shell(named, Models.path(), Self.prompt, fifo).output == expected.output)
        #expect(try complete("--no-echo", Self.prompt).output == Array(expected.output[Self.prompt.utf8.count...]))
        let json = try complete("--json", "--no-echo", Self.prompt).output
        let keys = try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]).keys
        #expect(keys.contains("text") && !keys.contains("prompt") && !keys.contains("prompt_ids"))
        expectRefusal(try complete("-c", "257", Self.prompt), "has a context of 256 tokens, less than the 257 of -c")
    }

    @Test func mayBeginWithADash() throws {
        #expect(try complete("--", "-n is a flag").outputText.hasPrefix("-n is a flag"))
        #expect(try complete("--", "--").outputText.hasPrefix("--"))
    }

    @Test func bytesThatAreNotUTF8PassThrough() throws {
        let bytes: [UInt8] = [0xFF, 0xC3, 0x28, 0, 0x0D, 0x0A, 0xE2, 0x82, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, 0x80]
        let folder = try TemporaryFolder()
        for outcome in [
            try complete("-", input: bytes), try complete("-f", folder.write("bytes", bytes)),
        ] {
            #expect(outcome.status == 0 && outcome.output.starts(with: bytes))
        }
        let result = try complete("--json", "-", input: bytes).json(Completed.self)
        let decoded = try Command.run(
            "tokenize", "-m", Models.path(), "--decode", input: Array("\(result.prompt_ids)".utf8))
        #expect(decoded.output == bytes)
    }

    @Test func argumentsThatAreNotUTF8PassThrough() throws {
        let line = #""$PHI" complete -m "$1" -n 0 "$(printf 'a\377b\303')""#
        let outcome = try Command.shell(line, Models.path())
        #expect(outcome.output == [0x61, 0xFF, 0x62, 0xC3, 0x0A], "\(outcome.errorText)")
    }

    @Test func mayBeEmpty() throws {
        let expected = try complete("<|endoftext|>", "--no-echo").output
        #expect(expected.count > 1)
        #expect(try complete("").output == expected)
        #expect(try complete("-").output == expected)
        let folder = try TemporaryFolder()
        #expect(try complete("-f", folder.write("empty", "")).output == expected)
    }

    @Test func mayFillTheContextButNotMore() throws {
        let full = String(repeating: "#", count: 256)
        let outcome = try complete(full, "--json").json(Completed.self)
        #expect(outcome.prompt_ids.count == 256 && outcome.ids.count == 1 && outcome.stop_reason == "context_full")
        expectRefusal(try complete(full + "#"), "prompt: 257 tokens do not fit the context of 256")
        expectRefusal(try complete("-", input: Array((full + "#").utf8)), "standard input: 257 tokens")
        let folder = try TemporaryFolder()
        let path = try folder.write("long.txt", String(repeating: "#", count: 1 << 20))
        expectRefusal(try complete("-f", path), path + ": 1048576 tokens")
        expectRefusal(try complete("-f", path, "--json"), path + ": 1048576 tokens")
        expectRefusal(try complete("123456789", "--context", "8"), "context of 8")
        expectRefusal(try complete("x", "--context", "257"), "257")
    }

    @Test func refusesFilesThatItCannotRead() throws {
        let folder = try TemporaryFolder()
        expectRefusal(try complete("-f", folder.at("missing.txt")), folder.at("missing.txt") + ": no such file")
        expectRefusal(try complete("-f", folder.path), folder.path + ": is a directory")
    }

    @Test func knowsWrongUsage() throws {
        expectWrongUsage(try complete(), "prompt")
        expectWrongUsage(try complete("a prompt", "-f", "and a file"), "prompt")
        expectWrongUsage(try complete("two", "prompts"), "prompts")
        expectWrongUsage(try complete("x", "--no-such-option"), "--no-such-option")
        expectWrongUsage(try complete("x", "--temperature", "warm"), "temperature")
        expectWrongUsage(try complete("x", "--temperature", "-1"), "temperature")
        expectWrongUsage(try complete("x", "--temperature=-1"), "temperature")
        expectWrongUsage(try complete("x", "--temperature", "nan"), "temperature")
        expectWrongUsage(try complete("x", "--top-p", "2"), "top-p")
        expectWrongUsage(try complete("x", "--min-p", "1.5"), "min-p")
        expectWrongUsage(try complete("x", "--top-k=-1"), "top-k")
        expectWrongUsage(try complete("x", "--repeat-penalty", "0"), "repeat-penalty")
        expectWrongUsage(try complete("x", "--seed", "18446744073709551616"), "seed")
        expectWrongUsage(try complete("x", "--stop", ""), "stop")
        expectWrongUsage(try complete("x", "--threads", "0"), "--threads")
        expectWrongUsage(try complete("x", "--threads", "1025"), "--threads")
        expectWrongUsage(try complete("x", "--context", "0"), "--context")
        expectWrongUsage(try Command.run("complete", "-m", Models.path(), "x", "-n=-1"), "tokens")
        expectWrongUsage(try Command.run("complete", "x", "-m"), "model")
    }

    @Test func refusesUnknownInstructionSets() throws {
        let outcome = try Command.run("complete", "-m", Models.path(), "x", environment: ["PHI_ISA": "abacus"])
        expectRefusal(outcome, "PHI_ISA: 'abacus'")
        let shop = try Workshop()
        expectRefusal(try shop.convert(environment: ["PHI_ISA": "abacus"]), "PHI_ISA: 'abacus'")
        #expect(shop.folder.names == ["checkpoint"])
    }
}
