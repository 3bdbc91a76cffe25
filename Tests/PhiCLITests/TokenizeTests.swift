import Foundation
import PhiTestSupport
import Testing

/// `phi tokenize`
@Suite struct TokenizeTests {
    private func tokenize(_ options: String..., input: [UInt8]) throws -> Outcome {
        try Command.run(["tokenize", "-m", Models.path()] + options, input: input)
    }

    private func tokenize(_ text: String, _ options: String...) throws -> Outcome {
        try Command.run(["tokenize", "-m", Models.path()] + options, input: Array(text.utf8))
    }

    @Test func printsALineForEachToken() throws {
        let outcome = try tokenize(input: Array("'\\\n\t\r é<|endoftext|>".utf8))
        let lines = outcome.outputText.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
        #expect(outcome.status == 0)
        #expect(lines.allSatisfy { $0.count == 2 && Int($0[0]) != nil })
        #expect(
            lines.map { $0[1] } == [
                #"b'\''"#, #"b'\\'"#, #"b'\n'"#, #"b'\t'"#, #"b'\r'"#, "b' '", #"b'\xc3'"#, #"b'\xa9'"#,
                "b'<|endoftext|>'",
            ])
        #expect(lines.last?[0] == "256")
    }

    @Test func printsIDsAsJSON() throws {
        let ids = try tokenize("def f(x):\n", "--ids").json([Int].self)
        #expect(ids.count > 3 && ids.allSatisfy { (0..<300).contains($0) })
        #expect(try tokenize("", "--ids").outputText == "[]\n")
        #expect(try tokenize("").output.isEmpty)
    }

    @Test func givesBackAnyBytes() throws {
        var random = SeededRandom(name: "bytes", seed: 1)
        for length in [1, 2, 3, 100, 10_000] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            let ids = try tokenize("--ids", input: bytes)
            #expect(ids.status == 0)
            #expect(try tokenize("--decode", input: ids.output).output == bytes)
        }
    }

    @Test func takesAMegabyteAtOnce() throws {
        let line = "def is_prime(number):  # the other thing, and then some\n    return not any(...)\n"
        let text = Array(String(repeating: line, count: (1 << 20) / line.utf8.count).utf8)
        for bytes in [text, [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)] {
            let ids = try tokenize("--ids", input: bytes)
            #expect(ids.status == 0 && ids.seconds < 20)
            #expect(try tokenize("--decode", input: ids.output).output == bytes)
        }
    }

    @Test func refusesIDsThatAreNoTokens() throws {
        for ids in ["[300]", "[-1]", "[1, 2, 2147483647]", "[1,-2147483648]"] {
            expectRefusal(try tokenize(ids, "--decode"), "standard input", "\(ids)")
            #expect(try tokenize(ids, "--decode").errorText.contains("is not a token"), "\(ids)")
        }
        #expect(try tokenize("[]", "--decode").output.isEmpty)
    }

    @Test(arguments: [
        "", "[", "[1", "[1,]x", "{}", "\"1\"", "[1.5]", "[\"1\"]", "[[1]]", "[null]", "1", "[4294967296]", "[1e99]",
        "\u{0}",
        String(repeating: "[", count: 10_000),
    ])
    func refusesJSONThatIsNoArrayOfIDs(_ text: String) throws {
        expectRefusal(try tokenize(text, "--decode"), "standard input: is not a JSON array of token ids")
    }

    @Test func knowsWrongUsage() throws {
        expectWrongUsage(try tokenize("x", "--ids", "--decode"), "--ids")
        expectWrongUsage(try tokenize("x", "text"), "text")
    }
}
