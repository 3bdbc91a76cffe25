import Foundation
import PhiTestSupport
import Testing

/// `phi convert` with damaged and hostile checkpoints.
@Suite struct BadCheckpointTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let name: String
        /// The file that the message must name.
        let file: String
        /// A word that the message must contain.
        let word: String
        let spoil: @Sendable (Workshop, inout TinyCheckpoint) throws -> Void

        init(
            _ name: String, in file: String, _ word: String,
            spoil: @escaping @Sendable (Workshop, inout TinyCheckpoint) throws -> Void
        ) {
            self.name = name
            self.file = file
            self.word = word
            self.spoil = spoil
        }

        var testDescription: String { name }
    }

    /// Faults in the contents of files: the tiny checkpoint is changed and written again.
    static let contents: [Fault] = [
        Fault("missing tensor", in: "checkpoint", "'model.layers.1.mlp.fc1.bias'") { _, checkpoint in
            checkpoint.tensors.removeAll { $0.name == "model.layers.1.mlp.fc1.bias" }
        },
        Fault("no tensors", in: "checkpoint", "holds no tensors") { _, checkpoint in checkpoint.tensors = [] },
        Fault("wrong shape", in: "model.safetensors", "'lm_head.bias'") { _, checkpoint in
            checkpoint.tensors[checkpoint.tensors.count - 1].tensor.shape = [1, 320]
        },
        Fault("NaN in a matrix", in: "model.safetensors", "'model.layers.0.mlp.fc2.weight'") { _, checkpoint in
            checkpoint.edit("model.layers.0.mlp.fc2.weight") { $0[4321] = .nan }
        },
        Fault("infinity in a matrix", in: "model.safetensors", "'model.embed_tokens.weight'") { _, checkpoint in
            checkpoint.edit("model.embed_tokens.weight") { $0[64 * 299] = -.infinity }
        },
        Fault("NaN in a vector", in: "model.safetensors", "'model.final_layernorm.bias'") { _, checkpoint in
            checkpoint.edit("model.final_layernorm.bias") { $0[63] = .nan }
        },
        Fault("a weight that no scale holds", in: "model.safetensors", "'lm_head.weight' has weights that are too l") {
            _, checkpoint in
            checkpoint.edit("lm_head.weight") { $0[5] = 3e38 }
        },
        Fault("qk_layernorm", in: "config.json", "qk_layernorm") { _, checkpoint in
            checkpoint.config["qk_layernorm"] = "true"
        },
        Fault("activation", in: "config.json", "'relu'") { _, checkpoint in
            checkpoint.config["hidden_act"] = #""relu""#
        },
        Fault("rope scaling", in: "config.json", "'linear'") { _, checkpoint in
            checkpoint.config["rope_scaling"] = #"{"type": "linear", "factor": 2.0}"#
        },
        Fault("another architecture", in: "config.json", "'llama'") { _, checkpoint in
            checkpoint.config["model_type"] = #""llama""#
        },
        Fault("more tokens than rows", in: "config.json", "vocab_size") { _, checkpoint in
            checkpoint.config["vocab_size"] = "299"
        },
        Fault("a size near 2^64", in: "config.json", "number") { _, checkpoint in
            checkpoint.config["hidden_size"] = "18446744073709551615"
        },
        Fault("a size near 2^63", in: "config.json", "intermediate size") { _, checkpoint in
            checkpoint.config["intermediate_size"] = "9223372036854775807"
        },
        Fault("a billion layers", in: "config.json", "layers") { _, checkpoint in
            checkpoint.config["num_hidden_layers"] = "1000000000"
        },
        Fault("no layers", in: "config.json", "layers") { _, checkpoint in
            checkpoint.config["num_hidden_layers"] = "0"
        },
        Fault("no heads", in: "config.json", "heads") { _, checkpoint in
            checkpoint.config["num_attention_heads"] = "0"
        },
        Fault("a tokenizer that is no BPE", in: "tokenizer.json", "'WordPiece'") { _, checkpoint in
            checkpoint.tokenizer = checkpoint.tokenizer.replacingOccurrences(of: #""BPE""#, with: #""WordPiece""#)
        },
    ]

    /// Faults of the files themselves.
    static let files: [Fault] = [
        Fault("overlapping tensors", in: "model.safetensors", "overlaps") { shop, checkpoint in
            // The second bias is put where the first one is, and so is as long.
            let text = String(decoding: checkpoint.safetensors().dropFirst(8), as: UTF8.self)
            let end = try #require(text.range(of: "}}")).upperBound
            var header = String(text[..<end])
            let first = try Self.place(of: "model.layers.0.self_attn.q_proj.bias", in: header)
            let second = try Self.place(of: "model.layers.0.self_attn.k_proj.bias", in: header)
            header = header.replacingOccurrences(of: second, with: first)
            let data = checkpoint.tensors.reduce(0) { $0 + 4 * $1.tensor.floats.count }
            try shop.folder.write(
                "checkpoint/model.safetensors",
                safetensors(header, data: [UInt8](repeating: 0, count: data)))
        },
        Fault("a file instead of a directory", in: "checkpoint", "holds no weights that are known") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint)
            try shop.folder.write("checkpoint", "a file")
        },
        Fault("no directory", in: "checkpoint", "no such file or directory") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint)
        },
        Fault("an empty directory", in: "checkpoint", "tokenizer.json") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint)
            try shop.folder.makeFolder("checkpoint")
        },
        Fault("no config", in: "config.json", "no such file") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/config.json")
        },
        Fault("no weights", in: "checkpoint", "model.safetensors") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
        },
        Fault("weights are a directory", in: "model.safetensors", "is a directory") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
            try shop.folder.makeFolder("checkpoint/model.safetensors")
        },
        Fault("weights are a pipe", in: "model.safetensors", "is not a regular file") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
            try #require(mkfifo(shop.checkpoint + "/model.safetensors", 0o600) == 0)
        },
        Fault("empty weights", in: "model.safetensors", "0 bytes") { shop, _ in
            try shop.folder.write("checkpoint/model.safetensors", "")
        },
        Fault("header length near 2^64", in: "model.safetensors", "18446744073709551615") { shop, _ in
            try shop.folder.write(
                "checkpoint/model.safetensors",
                safetensors("{}", data: [], length: .max))
        },
        Fault("offsets near 2^64", in: "model.safetensors", "number") { shop, _ in
            let header =
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}}"#
            try shop.folder.write(
                "checkpoint/model.safetensors", safetensors(header, data: [1, 2, 3, 4]))
        },
        Fault("shape near 2^64", in: "model.safetensors", "'a'") { shop, _ in
            let header = #"{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,4]}}"#
            try shop.folder.write(
                "checkpoint/model.safetensors", safetensors(header, data: [1, 2, 3, 4]))
        },
        Fault("not JSON", in: "config.json", "is not JSON") { shop, _ in
            try shop.folder.write("checkpoint/config.json", "{\"model_type\": \"phi\",")
        },
        Fault("bytes for JSON", in: "tokenizer.json", "is not JSON") { shop, _ in
            try shop.folder.write("checkpoint/tokenizer.json", [0xFF, 0xFE, 0, 1, 2])
        },
        Fault("a pickle that calls os.system", in: "pytorch_model.bin", "posix.system") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
            let call = "touch " + shop.folder.at("called")
            let pickle = [0x80, 2] + Array("cposix\nsystem\nX".utf8) + [UInt8(call.utf8.count), 0, 0, 0]
            try shop.folder.write(
                "checkpoint/pytorch_model.bin",
                ZipWriter.archive([("m/data.pkl", pickle + Array(call.utf8) + Array("\u{85}R.".utf8.dropFirst()))]))
        },
        Fault("a bare pickle", in: "pytorch_model.bin", "is not a torch archive") { shop, _ in
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
            try shop.folder.write("checkpoint/pytorch_model.bin", "cposix\nsystem\n(S'touch called'\ntR.")
        },
    ]

    static let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)

    /// The text of `data_offsets` of a tensor in a header.
    private static func place(of name: String, in header: String) throws -> String {
        let entry = header[try #require(header.range(of: "\"\(name)\"")).upperBound...]
        let start = try #require(entry.range(of: "\"data_offsets\"")).lowerBound
        return String(entry[start...].prefix { $0 != "}" })
    }

    @Test(arguments: contents) func refusesContents(_ fault: Fault) throws {
        let shop = try Workshop()
        var checkpoint = TinyCheckpoint()
        try fault.spoil(shop, &checkpoint)
        try shop.folder.write("checkpoint/config.json", checkpoint.configText)
        try shop.folder.write("checkpoint/tokenizer.json", checkpoint.tokenizer)
        try shop.folder.write("checkpoint/model.safetensors", checkpoint.safetensors())
        try expectRefusal(shop, fault)
    }

    @Test(arguments: files) func refusesFiles(_ fault: Fault) throws {
        let shop = try Workshop()
        var checkpoint = TinyCheckpoint()
        try fault.spoil(shop, &checkpoint)
        try expectRefusal(shop, fault)
    }

    @Test(arguments: ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"])
    func refusesDeepJSON(_ name: String) throws {
        let shop = try Workshop()
        if name.hasSuffix("index.json") {
            try FileManager.default.removeItem(atPath: shop.checkpoint + "/model.safetensors")
        }
        for text in [Self.deep, #"{"vocab": \#(Self.deep)}"#, String(repeating: #"{"a":"#, count: 10_000)] {
            try shop.folder.write("checkpoint/" + name, text)
            try expectRefusal(shop, Fault("deep JSON", in: name, "is not JSON") { _, _ in })
        }
    }

    @Test func refusesADeepHeader() throws {
        let shop = try Workshop()
        for header in ["{\"a\":" + Self.deep + "}", String(repeating: "{\"a\":", count: 10_000)] {
            try shop.folder.write(
                "checkpoint/model.safetensors", safetensors(header, data: []))
            try expectRefusal(shop, Fault("deep header", in: "model.safetensors", "is not JSON") { _, _ in })
        }
    }

    @Test func refusesTruncatedWeights() throws {
        let shop = try Workshop()
        let whole = TinyCheckpoint().safetensors()
        for length in [1, 7, 8, 9, 100, 1000, 5000, whole.count / 2, whole.count - 1] {
            try shop.folder.write("checkpoint/model.safetensors", Array(whole[..<length]))
            try expectRefusal(shop, Fault("\(length) bytes", in: "model.safetensors", "bytes") { _, _ in })
        }
    }

    @Test(.enabled(if: Nobody.canRun, Nobody.needed)) func refusesUnreadableFiles() throws {
        let shop = try Workshop()
        let file = shop.checkpoint + "/model.safetensors"
        chmod(file, 0)
        for folder in [shop.folder.path, shop.checkpoint] { chmod(folder, 0o777) }
        let line = #"exec "$PHI" convert "$1" -o "$2""#
        let outcome = try Nobody.run(line, shop.checkpoint, shop.output)
        PhiCLITests.expectRefusal(outcome, file + ": permission denied")
        #expect(shop.folder.names == ["checkpoint"])
    }

    private func expectRefusal(_ shop: Workshop, _ fault: Fault) throws {
        let before = shop.folder.names
        let outcome = try Command.runConfined(["convert", shop.checkpoint, "-o", shop.output])
        PhiCLITests.expectRefusal(outcome, "/\(fault.file): ", "\(fault.name)")
        #expect(outcome.errorText.contains(fault.word), "\(fault.name): \(outcome.errorText)")
        #expect(shop.folder.names == before, "\(fault.name)")
    }
}
