import Foundation
import PhiTestSupport
import Testing

/// Completions of `phi complete`.
@Suite struct CompleteTests {
    private func text(_ prompt: String, _ options: String..., environment: [String: String] = [:]) throws -> String {
        let outcome = try Command.run(
            ["complete", "-m", Models.path(), "--no-echo", prompt] + options, environment: environment)
        #expect(outcome.status == 0, "\(outcome.errorText)")
        return outcome.outputText
    }

    private func decode(_ ids: [Int], path: String) throws -> [UInt8] {
        let outcome = try Command.run("tokenize", "-m", path, "--decode", input: Array("\(ids)".utf8))
        #expect(outcome.status == 0, "\(outcome.errorText)")
        return outcome.output
    }

    @Test func printsJSON() throws {
        let result = try Completed.of("def f(x):", "-n", "40")
        #expect(result.prompt == "def f(x):")
        #expect(try decode(result.prompt_ids, path: Models.path()) == Array("def f(x):".utf8))
        #expect(result.ids.count == 40 && result.stop_reason == "max_tokens" && result.stop_string == nil)
        #expect(try decode(result.ids, path: Models.path()) == Array(result.text.utf8))
        #expect(result.seed == nil, "nothing was drawn")
        let timings = result.timings
        #expect(timings.prefill_seconds > 0 && timings.decode_seconds > 0 && (timings.first_token_seconds ?? 0) > 0)
        #expect((timings.prefill_tokens_per_second ?? 0) > 0 && (timings.decode_tokens_per_second ?? 0) > 0)
    }

    @Test func textThatIsNotUTF8IsReplacedInJSON() throws {
        let path = try Models.long()
        let result = try Completed.of("x", "-n", "200", "--temperature", "2", "--seed", "5", path: path)
        let bytes = try decode(result.ids, path: path)
        #expect(result.text == String(decoding: bytes, as: UTF8.self))
        #expect(result.text.contains("\u{FFFD}"), "the model was to give bytes that are no text")
    }

    @Test func printsTheSameAsJSON() throws {
        let whole = try Command.run("complete", "-m", Models.path(), "-n", "40", "def f(x):")
        let result = try Completed.of("def f(x):", "-n", "40")
        #expect(whole.outputText == "def f(x):" + result.text + "\n")
        #expect(try text("def f(x):", "-n", "40") == result.text + "\n")
        #expect(whole.errorText.hasPrefix("phi: prompt 9 tokens, ") && whole.errorText.hasSuffix("; max_tokens\n"))
    }

    @Test(arguments: Models.types) func isTheSameOnAnyMachine(_ type: String) throws {
        let path = try Models.path(type)
        let prompt = "def is_even(n):\n    return "
        let expected = try Completed.of(prompt, "-n", "60", path: path)
        #expect(expected.ids.count == 60)
        for threads in 1...3 {
            let result = try Completed.of(prompt, "-n", "60", "--threads", "\(threads)", path: path)
            #expect(result.ids == expected.ids, "\(threads) threads")
        }
        for name in try Command.instructionSets() {
            let result = try Completed.of(prompt, "-n", "60", path: path, environment: ["PHI_ISA": name])
            #expect(result.ids == expected.ids, "\(name)")
        }
    }

    @Test func drawsBySeed() throws {
        let options = ["-n", "50", "--temperature", "1", "--top-k", "40", "--top-p", "0.95", "--min-p", "0.01"]
        func draw(_ seed: String) throws -> Completed {
            try Command.run(["complete", "-m", Models.path(), "--json", "def", "--seed", seed] + options)
                .json(Completed.self)
        }
        let first = try draw("1")
        #expect(first.seed == 1)
        #expect(try draw("1").ids == first.ids)
        #expect(try draw("2").ids != first.ids)
        #expect(try draw("18446744073709551615").ids != first.ids)
        // Without a seed a new one is taken, and told.
        let free = try Completed.of("def", "-n", "50", "--temperature", "1")
        let again = try Completed.of("def", "-n", "50", "--temperature", "1", "--seed", "\(#require(free.seed))")
        #expect(free.ids == again.ids)
    }

    @Test func penalisesRepetition() throws {
        let plain = try Completed.of("def f(x):", "-n", "80")
        let varied = try Completed.of("def f(x):", "-n", "80", "--repeat-penalty", "5")
        #expect(Set(varied.ids).count > Set(plain.ids).count)
    }

    @Test func makesAsManyTokensAsAsked() throws {
        #expect(try Completed.of("def", "-n", "0").ids.isEmpty)
        #expect(try Completed.of("def", "-n", "0").text.isEmpty)
        #expect(try Completed.of("def", "-n", "0").timings.first_token_seconds == nil)
        #expect(try Completed.of("def", "-n", "1").ids.count == 1)
        #expect(
            try Completed.of("def").ids.count == 256 - 3 + 1,
            "the context of 256 and the last one, which needs no place")
        #expect(try Completed.of("def", "-n", "\(Int.max)").stop_reason == "context_full")
        let silent = try Completed.of("def", path: Models.silent())
        #expect(silent.ids.isEmpty && silent.stop_reason == "end_of_text")
    }

    @Test func ignoresEndsOfText() throws {
        let result = try Completed.of("def", "-n", "5", "--ignore-eos", path: Models.silent())
        #expect(result.ids == [256, 256, 256, 256, 256] && result.text.isEmpty && result.stop_reason == "max_tokens")
        // Stop strings match special tokens whether these end a text or not.
        let twice = "<|endoftext|><|endoftext|>"
        let stopped = try Completed.of("def", "-n", "5", "--ignore-eos", "--stop", twice, path: Models.silent())
        #expect(stopped.ids == [256, 256] && stopped.text.isEmpty && stopped.stop_string == twice)
        // A part of their text is in no text.
        let whole = try Completed.of("def", "-n", "5", "--ignore-eos", "--stop", "endof", path: Models.silent())
        #expect(whole.ids.count == 5 && whole.stop_string == nil)
    }

    @Test func endsWhereTheContextDoes() throws {
        let result = try Completed.of("def f", "--context", "8")
        #expect(result.stop_reason == "context_full")
        #expect(result.prompt_ids.count + result.ids.count == 9)
        let outcome = try Command.run("complete", "-m", Models.path(), "def f", "--context", "8")
        #expect(outcome.status == 0 && outcome.errorText.hasSuffix("; context_full\n"))
    }

    @Test func endsAtStopStrings() throws {
        let options = ["-n", "120", "--temperature", "0.9", "--seed", "3"]
        func complete(_ stops: String...) throws -> Completed {
            let flags = stops.flatMap { ["--stop=\($0)"] }
            return try Command.run(["complete", "-m", Models.path(), "--json", "def"] + options + flags)
                .json(Completed.self)
        }
        let whole = try complete().text
        #expect(whole.allSatisfy { $0.isASCII })
        // Every place in the text, so also those across two and more tokens.
        for start in stride(from: 10, to: 100, by: 9) {
            let stop = String(whole.dropFirst(start).prefix(4))
            let range = try #require(whole.range(of: stop))
            let result = try complete("not in the text", stop)
            #expect(result.text == whole[..<range.lowerBound], "\(stop.debugDescription)")
            #expect(result.stop_reason == "stop_string" && result.stop_string == stop)
            #expect(result.ids.count < 120)
        }
        // The one that is complete first counts, whichever was named first.
        let (early, late) = (String(whole.dropFirst(20).prefix(5)), String(whole.dropFirst(60).prefix(5)))
        #expect(try complete(late, early).stop_string == early)
        let streamed = try Command.run(
            ["complete", "-m", Models.path(), "--no-echo", "def", "--stop=\(early)"] + options)
        #expect(try streamed.outputText == complete(early).text + "\n")
        #expect(try complete("not in the text").text == whole)
    }
}
