import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// `phi convert` with good input.
@Suite struct ConvertTests {
    private struct Info: Decodable {
        struct Tensor: Decodable {
            let name: String
            let encoding: String
            let rows: Int
            let columns: Int
            let bytes: Int
        }
        let format_version: String
        let type: String
        let tensors: [Tensor]
    }

    @Test(arguments: [("q3", 3.45), ("q4", 4.45), ("q8", 8.2), ("f16", 16), ("f32", 32)])
    func keepsTheSizeThatItPromises(_ type: String, _ bits: Double) throws {
        let info = try Command.run("info", "-m", Models.path(type), "--json").json(Info.self)
        #expect(info.type == type)
        #expect(info.format_version == (type == "q3" ? "1.3" : "1.1"))
        let blocks = info.tensors.filter { $0.name.hasPrefix("block.") && $0.encoding != "vector" }
        #expect(blocks.count == 4)
        #expect(blocks.allSatisfy { $0.encoding == type })
        let size = blocks.reduce(0) { $0 + 8 * $1.bytes }
        let weights = blocks.reduce(0) { $0 + $1.rows * $1.columns }
        #expect(Double(size) / Double(weights) <= bits)
        #expect(info.tensors.first { $0.name == "embedding.weight" }?.encoding == (type == "q3" ? "q4" : type))
        #expect(info.tensors.first { $0.name == "head.weight" }?.encoding == (bits < 8 ? "q8" : type))
    }

    @Test func saysWhatItDid() throws {
        let shop = try Workshop()
        let outcome = try shop.convert()
        #expect(outcome.status == 0)
        #expect(outcome.outputText.hasPrefix(shop.output + ": "))
        #expect(outcome.outputText.contains("4.31 bits per weight in the blocks"))
        #expect(outcome.outputText.contains("  end of text: 256 '<|endoftext|>', by config.json\n"))
        #expect(outcome.error.isEmpty, "progress is for terminals")
        #expect(shop.folder.names == ["checkpoint", "model.phi"])
    }

    @Test func adaptersAreMerged() throws {
        let folder = try TemporaryFolder()
        func convert(_ options: String...) throws -> [UInt8] {
            let outcome = try Command.run(
                ["convert", fixture("current-safetensors-f32"), "-o", folder.at("m.phi"), "--type", "f32", "--force"]
                    + options)
            #expect(outcome.status == 0, "\(outcome.errorText)")
            return try readFile(folder.at("m.phi"))
        }
        let adapter = fixture("adapters/attention"), other = fixture("adapters/rank-stabilised")
        let (base, merged) = (try convert(), try convert("--adapter", adapter))
        #expect(base != merged)
        #expect(try convert("--adapter", adapter + "=1.0") == merged)
        // Provenance names the adapter's files even where it changes nothing.
        let tensors = try PhiFile(MappedFile(path: folder.at("m.phi"))).sections.filter { $0.encoding != nil }
        _ = try convert("--adapter", adapter + "=0", "--adapter", other + "=-0")
        let unchanged = try PhiFile(MappedFile(path: folder.at("m.phi"))).sections.filter { $0.encoding != nil }
        _ = try convert()
        let plain = try PhiFile(MappedFile(path: folder.at("m.phi"))).sections.filter { $0.encoding != nil }
        #expect(unchanged.map(\.digest) == plain.map(\.digest) && tensors.map(\.digest) != plain.map(\.digest))
        // A directory may have a name that ends like a factor.
        let named = folder.at("lr=0.5")
        try FileManager.default.copyItem(atPath: adapter, toPath: named)
        #expect(try convert("--adapter", named) == merged)
        _ = try convert("--adapter", named + "=0.5")
        let provenance = try Command.run("info", "-m", folder.at("m.phi")).outputText
        #expect(provenance.contains(#""factor":0.5"#), "\(provenance)")
        for (argument, words) in [
            (folder.path, "holds no adapter"), (adapter + "=inf", "not finite"), (adapter + "=x", "no such file"),
        ] {
            let outcome = try Command.run(
                "convert", fixture("current-safetensors-f32"), "-o", folder.at("n.phi"), "--adapter", argument)
            expectRefusal(outcome, words)
        }
    }

    /// A fine-tune's own tokens, in rows that pad the base model's vocabulary.
    @Test func adaptersBringTheirTokenizer() throws {
        let folder = try TemporaryFolder()
        let base = fixture("current-safetensors-f32"), adapter = try folder.makeFolder("adapter")
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            try FileManager.default.copyItem(
                atPath: fixture("adapters/attention/" + name), toPath: adapter + "/" + name)
        }
        let tokenizer = String(decoding: try readFile(base + "/tokenizer.json"), as: UTF8.self)
        let next = try #require(tokenizer.range(of: #""added_tokens":"#)?.upperBound)
        let entry = #"{"id":286,"content":"<|im_end|>","special":true,"normalized":false},"#
        let start = try #require(tokenizer[next...].firstIndex(of: "["))
        func convert(_ text: String) throws -> Outcome {
            try folder.write("adapter/tokenizer.json", text)
            return try Command.run(
                "convert", base, "-o", folder.at("m.phi"), "--type", "f32", "--force", "--adapter", adapter)
        }
        func tokens() throws -> String {
            try Command.run("tokenize", "--ids", "-m", folder.at("m.phi"), input: Array("<|im_end|>".utf8)).outputText
        }
        #expect(!(try convert(tokenizer).errorText.contains("tokenizer")))
        #expect(try tokens() != "[286]\n")
        let other = try convert(tokenizer.replacingCharacters(in: start...start, with: "[" + entry))
        #expect(other.status == 0 && other.errorText.contains("adapter: its tokenizer, of 287 tokens, takes"))
        #expect(try tokens() == "[286]\n")
        // One of several adapters has another tokenizer, wherever it stands; two different ones exclude each other.
        let plain = try folder.makeFolder("plain")
        for name in try FileManager.default.contentsOfDirectory(atPath: adapter) where name != "tokenizer.json" {
            try FileManager.default.copyItem(atPath: adapter + "/" + name, toPath: plain + "/" + name)
        }
        try folder.write("plain/tokenizer.json", tokenizer)
        for order in [[plain, adapter], [adapter, plain]] {
            let both = try Command.run(
                ["convert", base, "-o", folder.at("m.phi"), "--type", "f32", "--force"]
                    + order.flatMap { ["--adapter", $0] })
            #expect(both.errorText.contains("adapter: its tokenizer, of 287 tokens, takes"), "\(both.errorText)")
            #expect(try tokens() == "[286]\n")
        }
        let renamed = entry.replacingOccurrences(of: "im_end", with: "im_start")
        try folder.write("plain/tokenizer.json", tokenizer.replacingCharacters(in: start...start, with: "[" + renamed))
        let two = try Command.run(
            "convert", base, "-o", folder.at("n.phi"), "--adapter", adapter, "--adapter", plain)
        expectRefusal(two, "has another tokenizer than")
        let gguf = try Command.run(
            "convert", fixture("gguf/f32.gguf"), "-o", folder.at("n.phi"), "--adapter", adapter)
        expectRefusal(gguf, "has another tokenizer than the GGUF file")
    }

    @Test func warnsOfTensorsThatAreLeftOut() throws {
        var checkpoint = TinyCheckpoint()
        for name in ["v_head.weight", "v_head.bias"] { checkpoint.tensors.append((name, TestTensor(shape: [1]))) }
        let shop = try Workshop(checkpoint)
        let outcome = try shop.convert("--calibrate", "none")
        #expect(outcome.status == 0)
        #expect(
            outcome.errorText == "phi: warning: \(shop.checkpoint): 2 tensors that phi does not have, left out: "
                + "'v_head.bias', 'v_head.weight'\n")
    }

    /// Linux's names are bytes; Apple's file systems take UTF-8 only.
    #if os(Linux)
        @Test func takesNamesThatAreNotUTF8() throws {
            let shop = try Workshop()
            let line = #"""
                cd "$1" && d=$(printf 'a\377') && o=$(printf 'b\376.phi') && mv checkpoint "$d" && \
                "$PHI" convert "$d" -o "$o" --type f16 && "$PHI" verify "$o" && "$PHI" info -m "$o" && \
                "$PHI" convert "$d/model.safetensors" --output="$o" --type f16 --force && rm "$d/config.json" && \
                ! "$PHI" convert "$d" -o "$(printf 'a\376')" && ls -b
                """#
            let outcome = try Command.shell(line, shop.folder.path)
            #expect(outcome.status == 0, "\(outcome.errorText)")
            #expect(outcome.outputText.hasSuffix("a\\377\nb\\376.phi\n"), "\(outcome.outputText)")
            #expect(outcome.errorText.contains("a\u{FFFD}/config.json: no such file"), "\(outcome.errorText)")
        }
    #endif

    @Test func takesAHomeDirectory() throws {
        let shop = try Workshop()
        let outcome = try Command.run(
            ["convert", "~/checkpoint", "-o", "~/in-home.phi", "--type", "f16"], environment: ["HOME": shop.folder.path]
        )
        #expect(outcome.status == 0 && outcome.errorText.isEmpty, "\(outcome.errorText)")
        #expect(shop.folder.names == ["checkpoint", "in-home.phi"])
    }

    @Test func endsOfTextCanBeNamed() throws {
        let shop = try Workshop()
        let outcome = try shop.convert("--eos", "e", "--eos", "256")
        #expect(outcome.status == 0 && outcome.outputText.contains("  end of text: 68 'e', by --eos\n"))
        #expect(outcome.errorText.contains("phi: warning: the end of text 'e' is not a special token"))
        let info = try Command.run("info", "-m", shop.output).outputText
        #expect(info.contains("end of text 68 'e', 256 '<|endoftext|>'\n") && info.contains(".phi 1.2"))
        expectRefusal(try shop.convert("--eos", "no such", "--force"), "no token 'no such', which --eos names")
    }

    @Test func readsGGUF() throws {
        let folder = try TemporaryFolder()
        func convert(_ checkpoint: String) throws -> PhiFile {
            let path = folder.at("\(folder.names.count).phi")
            let outcome = try Command.run("convert", fixture(checkpoint), "-o", path, "--type", "f32")
            try #require(outcome.status == 0, "\(outcome.errorText)")
            return try PhiFile(MappedFile(path: path))
        }
        let (file, directory) = try (convert("gguf/f32.gguf"), convert("current-safetensors-f32"))
        #expect(file.sections.map(\.name) == directory.sections.map(\.name))
        for (own, other) in zip(file.sections, directory.sections) where own.name != "provenance" {
            #expect(file.bytes(of: own).elementsEqual(directory.bytes(of: other)), "\(own.name)")
        }
        let quantised = try Command.run("convert", fixture("gguf/k-quants.gguf"), "-o", folder.at("k.phi"))
        #expect(quantised.status == 0 && quantised.outputText.contains("end of text: 2 "))
    }

    @Test(arguments: Models.types) func givesTheSameBytesAlways(_ type: String) throws {
        let shop = try Workshop(TinyCheckpoint().speakingASCII())
        let expected = try readFile(Models.path(type))
        func expectSame(_ comment: Comment, _ options: [String], _ environment: [String: String] = [:]) throws {
            let outcome = try Command.run(
                ["convert", shop.checkpoint, "-o", shop.output, "--type", type, "--force"] + options,
                environment: environment)
            #expect(outcome.status == 0, comment)
            #expect(try readFile(shop.output) == expected, comment)
        }
        for threads in 1...3 { try expectSame("\(threads) threads", ["--threads", "\(threads)"]) }
        for name in try Command.instructionSets() { try expectSame("\(name)", [], ["PHI_ISA": name]) }
    }

    @Test func replacesOnlyWithForce() throws {
        let shop = try Workshop()
        try shop.folder.write("model.phi", "precious")
        let outcome = try shop.convert()
        expectRefusal(outcome, shop.output)
        #expect(outcome.errorText.contains("--force"))
        #expect(try readFile(shop.output) == Array("precious".utf8))
        #expect(shop.folder.names == ["checkpoint", "model.phi"])
        #expect(try shop.convert("--force").status == 0)
        #expect(try Command.run("verify", shop.output).status == 0)
    }

    @Test func leavesTheOldFileWhenItFails() throws {
        var checkpoint = TinyCheckpoint()
        checkpoint.edit("lm_head.bias") { $0[7] = .nan }
        let shop = try Workshop(checkpoint)
        try shop.folder.write("model.phi", "precious")
        expectRefusal(try shop.convert("--force"), "model.safetensors")
        #expect(try readFile(shop.output) == Array("precious".utf8))
        #expect(shop.folder.names == ["checkpoint", "model.phi"])
    }

    @Test func showsABarOnATerminal() throws {
        let shop = try Workshop()
        let outcome = try Command.start(["convert", shop.checkpoint, "-o", shop.output], terminal: true).wait()
        #expect(outcome.status == 0)
        #expect(outcome.errorText.contains("convert [="))
        #expect(outcome.errorText.hasSuffix("\r\u{1B}[K"), "the bar goes away: \(outcome.errorText.debugDescription)")
    }
}
