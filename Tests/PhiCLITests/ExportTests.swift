import PhiFormat
import PhiTestSupport
import Testing

/// `phi export`: what it writes is read back by `phi convert`.
struct ExportTests {
    @Test(arguments: ["f32", "f16", "q8_0"]) func exportsAreRead(_ type: String) throws {
        let folder = try TemporaryFolder()
        let (gguf, phi) = (folder.at("m.gguf"), folder.at("m.phi"))
        let outcome = try Command.run("export", "-m", Models.path("f32"), "-o", gguf, "--type", type)
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        #expect(outcome.outputText.hasPrefix(gguf + ": ") && outcome.outputText.hasSuffix(" MB, \(type)\n"))
        let back = try Command.run("convert", gguf, "-o", phi, "--type", "f32")
        #expect(back.status == 0 && back.error.isEmpty, "\(back.errorText)")
        #expect(try Command.run("verify", phi).status == 0)
        let prompt = ["--no-echo", "-n", "20", "def f(x):"]
        let (made, original) = try (
            Command.run(["complete", "-m", phi] + prompt), Command.run(["complete", "-m", Models.path("f32")] + prompt)
        )
        if type == "f32" { #expect(made.output == original.output) }
        #expect(made.status == 0)
    }

    /// Its end of text comes after tokens of spaces, which are no tokens of the BPE.
    @Test func theBuiltInModelComesBack() throws {
        let folder = try TemporaryFolder()
        let (gguf, phi) = (folder.at("m.gguf"), folder.at("m.phi"))
        #expect(try Command.run("export", "-o", gguf, "--type", "f32").status == 0)
        let back = try Command.run("convert", gguf, "-o", phi, "--type", "f32")
        #expect(back.status == 0, "\(back.errorText)")
        let text = "def f(x):\n        return x<|endoftext|>\n    "
        let tokens = try [["-m", phi], []].map {
            try Command.run(["tokenize", "--ids"] + $0, input: Array(text.utf8)).output
        }
        #expect(tokens[0] == tokens[1] && !tokens[0].isEmpty)
    }

    @Test func warnsOfEndsOfTextThatAreLeftOut() throws {
        let folder = try TemporaryFolder()
        let ends = ["7", "<|endoftext|>", "9", "11"].flatMap { ["--eos", $0] }
        let base = ["convert", fixture("current-safetensors-f32"), "-o", folder.at("a.phi"), "--type", "f32"]
        #expect(try Command.run(base + ends).status == 0)
        let outcome = try Command.run("export", "-m", folder.at("a.phi"), "-o", folder.at("a.gguf"))
        #expect(outcome.status == 0)
        #expect(outcome.errorText.contains("warning: a GGUF file has 3 ends of text; '"), "\(outcome.errorText)")
        #expect(outcome.errorText.hasSuffix("is left out\n"))
    }

    @Test func refusesBadInput() throws {
        let folder = try TemporaryFolder()
        try folder.write("precious.gguf", "precious")
        let taken = try Command.run("export", "-m", Models.path(), "-o", folder.at("precious.gguf"))
        expectRefusal(taken, "precious.gguf")
        expectRefusal(try Command.run("export", "-m", folder.at("none.phi"), "-o", folder.at("a.gguf")), "none.phi")
        expectWrongUsage(try Command.run("export", "-o", folder.at("a.gguf"), "--type", "q5"), "q5")
        #expect(folder.names == ["precious.gguf"])
    }
}
