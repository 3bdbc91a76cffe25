import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct CheckpointConfigTests {
    private func read(_ config: String, vocabulary: Int = 50_295, endOfText: Int = 50_256) throws -> CheckpointConfig {
        let folder = try TemporaryFolder()
        try folder.write("config.json", config)
        return try CheckpointConfig(directory: folder.path, vocabulary: vocabulary, endOfText: endOfText)
    }

    /// phi-1's config.json as published, in both vocabularies; a test adds keys, which stand before these.
    static func current(_ more: String = "") -> String {
        """
        {\(more)"model_type": "phi", "hidden_act": "gelu_new", "hidden_size": 2048, "intermediate_size": 8192,
        "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 24,
        "vocab_size": 51200, "unknown": {"nested": [1, 2.5, null]}}
        """
    }
    static func first(_ more: String = "") -> String {
        """
        {\(more)"model_type": "mixformer-sequential", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
        "n_embd": 2048, "n_head": 32, "n_inner": null, "n_layer": 24, "n_positions": 2048, "rotary_dim": 32,
        "vocab_size": 51200}
        """
    }

    /// Python's json writes these, and reads them.
    @Test(arguments: [
        #""a": NaN, "#, #""a": [Infinity, -Infinity,NaN], "#, #""NaN": "NaN \" NaN", "a": {"b": -Infinity}, "#,
        #""a": "\ud835", "#, #""a": "\\\uDC97\n\ud835\udd38\ud835\ud835\udd38", "#,
        #""a": ["\ud800", NaN, "\udfff\ud800"], "#,
    ])
    func passesOverPythonsJSON(_ more: String) throws {
        let read = try read(Self.current(more)).model
        #expect(try read == self.read(Self.current()).model)
    }

    @Test(arguments: [
        (#""head_dim": NaN, "#, "'head_dim' is not a whole number"),
        (#""rope_theta": -Infinity, "#, "'rope_theta' is not a number"),
        (#""rope_scaling": NaN, "#, "'rope_scaling' is not"),
        (#""activation_function": "\ud800", "#, "is not a string"),
        (#""a": nan, "#, "is not JSON"), (#""a": +Infinity, "#, "is not JSON"), (#""a": NaNs, "#, "is not JSON"),
        (#""a": Inf, "#, "is not JSON"), (#""a": --Infinity, "#, "is not JSON"),
    ])
    func namesPythonsJSONWhereItMatters(_ more: String, _ expected: String) throws {
        let text = fault { _ = try read(Self.current(more)) }
        #expect(text.contains(expected), "\(text)")
    }

    @Test func readsBothVocabularies() throws {
        let phi1 = try ModelConfig(
            hiddenSize: 2048, intermediateSize: 8192, layers: 24, heads: 32, kvHeads: 32, headSize: 64,
            rotaryDimensions: 32, context: 2048, vocabulary: 50_295, endOfText: 50_256, rotaryBase: 10_000,
            layerNormEpsilon: 1e-5)
        #expect(try read(Self.current()).model == phi1)
        #expect(try read(Self.first()).model == phi1)
        #expect(try read(Self.current()).paddedVocabulary == 51_200)
        // phi-2: 80 dimensions a head, of which 0.4 are rotated.
        let phi2 = Self.current(#""num_key_value_heads": 32, "partial_rotary_factor": 0.4, "#)
            .replacingOccurrences(of: "2048, \"i", with: "2560, \"i").replacingOccurrences(of: "8192", with: "10240")
        #expect(try read(phi2).model.rotaryDimensions == 32 && read(phi2).model.headSize == 80)
    }

    static let accepted: [(keys: String, rotary: Int, base: Float, kvHeads: Int)] = [
        (#""rope_theta": 5000, "partial_rotary_factor": 0.25, "#, 16, 5000, 32),
        (
            #""rope_parameters": {"rope_theta": 5000.0, "partial_rotary_factor": 0.25, "rope_type": "default"}, "#, 16,
            5000, 32
        ),
        // As transformers does: what rope_parameters does not say, top level says, and rope_parameters comes first.
        (
            #""rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}, "partial_rotary_factor": 0.25, "#, 16,
            500, 32
        ),
        (#""rope_parameters": {"partial_rotary_factor": 1}, "partial_rotary_factor": 0.25, "#, 64, 10_000, 32),
        (#""rope_parameters": null, "rope_scaling": null, "num_key_value_heads": null, "#, 32, 10_000, 32),
        (#""rope_scaling": {"type": "default"}, "num_key_value_heads": 8, "#, 32, 10_000, 8),
        // What is in rope_scaling takes the place of rope_parameters, and an empty one is as none.
        (#""rope_scaling": {"type": "default", "rope_theta": 100, "partial_rotary_factor": 0.25}, "#, 16, 100, 32),
        (
            #""rope_scaling": {"rope_type": "default", "rope_theta": 100}, "rope_parameters": {"rope_theta": 500.0}, "#,
            32, 100, 32
        ),
        (
            #""rope_scaling": {"rope_type": "default"}, "rope_theta": 100, "rope_parameters": {"rope_theta": 500.0}, "#,
            32, 100, 32
        ),
        (#""rope_scaling": {}, "rope_parameters": {"rope_theta": 500.0}, "#, 32, 500, 32),
        (#""qk_layernorm": false, "tie_word_embeddings": false, "head_dim": 64, "#, 32, 10_000, 32),
        // 64 x 0.3 = 19.2 is cut; an even number is asked of the cut one.
        (#""partial_rotary_factor": 0.32, "#, 20, 10_000, 32),
    ]

    @Test(arguments: accepted)
    func readsKeys(_ keys: String, _ rotary: Int, _ base: Float, _ kvHeads: Int) throws {
        let model = try read(Self.current(keys)).model
        #expect(model.rotaryDimensions == rotary && model.rotaryBase == base && model.kvHeads == kvHeads)
    }

    static let refused: [(old: String, new: String, fault: String)] = [
        (
            #""phi""#, #""phi3""#,
            "model_type 'phi3' is not supported; phi, phi-msft, mixformer-sequential, codegen, gptj are"
        ),
        (#""model_type": "phi", "#, "", "has no 'model_type'"),
        (#""hidden_size": 2048, "#, "", "has no 'hidden_size'"),
        (#""vocab_size": 51200, "#, "", "has no 'vocab_size'"),
        (#""gelu_new""#, #""gelu""#, "activation 'gelu' is not supported; phi has gelu_new"),
        (#""gelu_new""#, "7", "'hidden_act' is not a string"),
        ("{", #"{"qk_layernorm": true, "#, "qk_layernorm is true; that is not supported"),
        (
            "{", #"{"rope_scaling": {"type": "linear", "factor": 2.0}, "#,
            "rope_scaling of type 'linear' is not supported"
        ),
        ("{", #"{"rope_scaling": {"factor": 2.0}, "#, "rope_scaling of type '' is not supported"),
        ("{", #"{"rope_parameters": {"rope_type": "yarn"}, "#, "rope_parameters of type 'yarn' is not supported"),
        ("{", #"{"partial_rotary_factor": 1.5, "#, "partial_rotary_factor is 1.5, not 0 to 1"),
        ("{", #"{"partial_rotary_factor": -0.5, "#, "partial_rotary_factor is -0.5, not 0 to 1"),
        ("{", #"{"partial_rotary_factor": 0.3, "#, "number of rotary dimensions is odd: 19"),
        ("{", #"{"num_key_value_heads": 5, "#, "32 heads cannot share 5 key-value heads"),
        ("{", #"{"num_key_value_heads": 0, "#, "number of key-value heads is 0, not 1 to 1024"),
        ("{", #"{"rope_theta": 1e300, "#, "rotary base is inf"),
        ("{", #"{"rope_theta": 1e-30, "#, "rotary base is 1e-30, not a number from 1"),
        ("{", #"{"head_dim": 4611686018427387904, "#, "head size is"),
        // As a double it is 2^63, no Int.
        (
            "{", #"{"head_dim": 9223372036854775807, "partial_rotary_factor": 1, "#,
            "head_dim 9223372036854775807 cannot be true"
        ),
        ("{", #"{"x": [\#(String(repeating: "0,", count: 1_500_000))0], "#, "holds more than 1400000 values"),
        ("{", #"{"x": "\#(String(repeating: "a", count: 5_000_000))", "#, "at most 4194304 are expected"),
        ("{", #"{"model_type": "phi", "#, "holds the key 'model_type' twice"),
        (
            #""num_attention_heads": 32"#, #""num_attention_heads": 31"#,
            "hidden size 2048 is not a multiple of its 31 heads"
        ),
        (#""num_attention_heads": 32"#, #""num_attention_heads": 0"#, "or 0 heads cannot be true"),
        (
            #""num_hidden_layers": 24"#, #""num_hidden_layers": 18446744073709551615"#,
            "holds a number or a text that"
        ),
        (
            #""num_hidden_layers": 24"#, #""num_hidden_layers": 9223372036854775807"#,
            "number of layers is 9223372036854775807"
        ),
        (#""num_hidden_layers": 24"#, #""num_hidden_layers": 24.5"#, "holds a number or a text that"),
        (#""num_hidden_layers": 24"#, #""num_hidden_layers": -1"#, "number of layers is -1, not 1 to 1024"),
        (#""num_hidden_layers": 24"#, #""num_hidden_layers": "24""#, "'num_hidden_layers' is not a whole number"),
        ("2048, \"i", "-9223372036854775808, \"i", "cannot be true"),
        ("51200", "50294", "vocab_size is 50294, but the tokenizer has 50295 tokens"),
        (
            "[1, 2.5, null]", String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000),
            "is not JSON"
        ),
        ("}}", "}", "is not JSON"),
    ]

    @Test(arguments: refused) func refusesByName(_ old: String, _ new: String, _ expected: String) throws {
        var text = Self.current()
        let range = try #require(text.range(of: old))
        text.replaceSubrange(range, with: new)
        let message = fault { _ = try read(text) }
        #expect(message.contains(expected))
    }

    @Test(arguments: [
        (#""n_head": 32, "#, "has no 'n_head'"), (#""rotary_dim": 32,"#, "has no 'rotary_dim'"),
        (#""n_positions": 2048, "#, "has no 'n_positions'"),
    ])
    func refusesFirstConfigsByName(_ old: String, _ expected: String) throws {
        let text = Self.first()
        try #require(text.contains(old))
        #expect(fault { _ = try read(text.replacingOccurrences(of: old, with: "")) } == expected)
    }

    @Test func cutAtEveryLength() throws {
        let text = Self.current()
        for length in 1..<text.utf8.count {
            #expect(fault { _ = try read(String(decoding: text.utf8.prefix(length), as: UTF8.self)) } == "is not JSON")
        }
    }
}
