import PhiTestSupport
import Testing

/// `phi complete --regex` and `--json-schema`.
@Suite struct ConstraintTests {
    private func complete(_ options: String..., input: [UInt8] = []) throws -> Outcome {
        try Command.run(["complete", "-m", Models.path(), "--no-echo", "def f(x):"] + options, input: input)
    }

    @Test func constrainsTheCompletion() throws {
        let number = try complete("--regex", "[0-9]{3}-[a-f]{2,4};", "--temperature", "1", "--seed", "3")
        #expect(number.status == 0 && number.errorText.hasSuffix("; complete\n"), "\(number.errorText)")
        #expect(number.outputText.wholeMatch(of: /[0-9]{3}-[a-f]{2,4};\n/) != nil, "\(number.outputText)")
        let schema = #"{"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}"#
        let folder = try TemporaryFolder()
        try folder.write("schema.json", schema)
        let text = try complete("--json-schema", schema)
        #expect(text.outputText.wholeMatch(of: /\[\s*(true|false),\s*(true|false)\s*\]\n/) != nil, "\(text.outputText)")
        #expect(try complete("--json-schema", folder.path + "/schema.json").outputText == text.outputText)
        #expect(try complete("--json-schema", "-", input: Array(schema.utf8)).outputText == text.outputText)
        let plain = try Completed.of("def f(x):", "--json-schema", schema, "--no-speculate", "--threads", "1")
        #expect(plain.text + "\n" == text.outputText && plain.stop_reason == "complete")
    }

    @Test func refusesWhatItCannotDo() throws {
        for (options, fault) in [
            (["--regex", "(a"], "without its )"), (["--json-schema", #"{"not": {}}"#], "not is not supported"),
            (["--regex", "a", "--json-schema", "{}"], "not both"), (["--json-schema", "{"], "not JSON"),
        ] {
            let outcome = try Command.run(["complete", "-m", Models.path(), "x"] + options)
            #expect(
                outcome.status == 64 && outcome.errorText.contains(fault) && outcome.output.isEmpty,
                "\(outcome.errorText)")
        }
        let folder = try TemporaryFolder()
        expectRefusal(try complete("--json-schema", folder.write("damaged.json", "[")), "damaged.json: is no schema")
        let missing = try complete("--json-schema", "/no/such/schema.json")
        #expect(missing.status == 1 && missing.errorText.contains("/no/such/schema.json"))
    }
}
