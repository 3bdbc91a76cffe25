import CPhiKernels
import Phi
import PhiFormat
import PhiTokenizer

/// A small phi of any shape whose weights follow from their names by the rule of ``Seeded``, as a `.phi` file of any encoding;
/// ``TinyCheckpoint`` makes it a checkpoint directory.
package struct TinyPhi: Sendable, CustomStringConvertible {
    /// Powers of two that scale weights by their kind.
    package struct Exponents: Decodable, Sendable {
        var linear = -3
        var head = -2
        var embedding = 0
        var bias = -3
        var norm = -2

        package init(linear: Int = -3, head: Int = -2, embedding: Int = 0, bias: Int = -3, norm: Int = -2) {
            (self.linear, self.head, self.embedding, self.bias, self.norm) = (linear, head, embedding, bias, norm)
        }
    }

    package let name: String
    let hidden, intermediate, layers, heads: Int
    let kvHeads: Int?
    let rotaryFactor: Double
    /// Rows of the checkpoint's embedding and head; more than there are tokens.
    let rows: Int
    let tokens: Int
    let context: Int
    let exponents: Exponents
    let seed: UInt64

    package init(
        name: String = "tiny", hidden: Int = 64, intermediate: Int = 96, layers: Int = 2, heads: Int = 2,
        kvHeads: Int? = nil, rotaryFactor: Double = 0.5, rows: Int = 300, tokens: Int = 290, context: Int = 128,
        exponents: Exponents = Exponents(), seed: UInt64 = 1
    ) {
        self.name = name
        (self.hidden, self.intermediate, self.layers, self.heads) = (hidden, intermediate, layers, heads)
        (self.kvHeads, self.rotaryFactor) = (kvHeads, rotaryFactor)
        (self.rows, self.tokens, self.context) = (rows, tokens, context)
        (self.exponents, self.seed) = (exponents, seed)
    }

    package var description: String { name }

    private var headSize: Int { hidden / heads }
    private var keySize: Int { (kvHeads ?? heads) * headSize }

    private func config() throws -> ModelConfig {
        try ModelConfig(
            hiddenSize: hidden, intermediateSize: intermediate, layers: layers, heads: heads, kvHeads: kvHeads ?? heads,
            headSize: headSize, rotaryDimensions: Int(Double(headSize) * rotaryFactor), context: context,
            vocabulary: tokens, endOfText: TinyTokenizer.endOfText, rotaryBase: 10_000, layerNormEpsilon: 1e-5)
    }

    private func weight(_ name: String, _ count: Int) -> [Float] {
        let isNormWeight = name.hasSuffix("layernorm.weight")
        var exponent = exponents.linear
        if isNormWeight { exponent = exponents.norm }
        if name.hasPrefix("lm_head") { exponent = exponents.head }
        if name.hasPrefix("model.embed") { exponent = exponents.embedding }
        if name.hasSuffix(".bias") { exponent = exponents.bias }
        return Seeded.tensor(name, count, exponent: exponent, isNormWeight: isNormWeight, seed: seed)
    }

    private func linear(_ block: Int, _ name: String) -> String { "model.layers.\(block).\(name)" }

    /// The checkpoint's tensors in the order of its file.
    package var tensors: [(name: String, tensor: TestTensor)] {
        var tensors: [(name: String, tensor: TestTensor)] = []
        func add(_ name: String, _ shape: Int...) {
            tensors.append((name, TestTensor(shape: shape, floats: weight(name, shape.reduce(1, *)))))
        }
        add("model.embed_tokens.weight", rows, hidden)
        for block in 0..<layers {
            for (name, rows, columns) in [
                ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", keySize, hidden),
                ("self_attn.v_proj", keySize, hidden), ("self_attn.dense", hidden, hidden),
                ("mlp.fc1", intermediate, hidden), ("mlp.fc2", hidden, intermediate),
            ] {
                add(linear(block, name) + ".weight", rows, columns)
                add(linear(block, name) + ".bias", rows)
            }
            add(linear(block, "input_layernorm.weight"), hidden)
            add(linear(block, "input_layernorm.bias"), hidden)
        }
        add("model.final_layernorm.weight", hidden)
        add("model.final_layernorm.bias", hidden)
        add("lm_head.weight", rows, hidden)
        add("lm_head.bias", rows)
        return tensors
    }

    /// The model in `encoding`, on `kernels`. Its file is gone by then: a mapping needs no name.
    package func model(
        _ encoding: TensorEncoding, head: Head = .same, kernels: Kernels? = nil,
        tests: ((LanguageModel) throws -> ModelTests)? = nil
    ) throws -> LanguageModel {
        let folder = try TemporaryFolder()
        try write(encoding, head: head, to: folder.at("tiny.phi"), tests: tests)
        return try LanguageModel(contentsOf: folder.at("tiny.phi"), kernels: kernels)
    }

    /// Encoding of the head: that of the model, another one, or that of the model after a round trip through another one.
    package enum Head {
        case same
        case encoded(TensorEncoding)
        case rounded(TensorEncoding)
    }

    /// Writes the model to `path`, with the section that `tests` gives if there is one.
    package func write(
        _ encoding: TensorEncoding, head: Head = .same, to path: String,
        tests: ((LanguageModel) throws -> ModelTests)? = nil
    ) throws {
        let vocabulary = try TinyTokenizer.vocabulary(tokens: tokens)
        let config = try config()
        let writer = try PhiFileWriter(
            path: path, sectionCount: 2 + 1 + 6 * layers + 4 + (tests == nil ? 0 : 1), overwrite: false)
        try writer.write(SectionName.config, required: true, bytes: config.section())
        try writer.write(SectionName.tokenizer, required: true, bytes: vocabulary.section())
        func matrix(
            _ name: String, _ values: [Float], _ rows: Int, _ columns: Int,
            _ encoding: TensorEncoding = encoding
        ) throws {
            try writer.begin(name, encoding: encoding, rows: rows, columns: columns)
            try Self.encode(values, rows, columns, encoding).withUnsafeBytes { try writer.append($0) }
            try writer.end()
        }
        let embedding = weight("model.embed_tokens.weight", rows * hidden)
        try matrix(SectionName.embedding, Array(embedding[..<(tokens * hidden)]), tokens, hidden)
        for n in 0..<layers {
            let parts = [
                ("self_attn.q_proj", hidden), ("self_attn.k_proj", keySize), ("self_attn.v_proj", keySize),
                ("mlp.fc1", intermediate),
            ]
            let inner = parts.flatMap { weight(linear(n, $0.0) + ".weight", $0.1 * hidden) }
            let inputProjectionBias = parts.flatMap { weight(linear(n, $0.0) + ".bias", $0.1) }
            let dense = weight(linear(n, "self_attn.dense.weight"), hidden * hidden)
            let fc2 = weight(linear(n, "mlp.fc2.weight"), hidden * intermediate)
            var outer: [Float] = []
            for row in 0..<hidden {
                outer += dense[row * hidden..<(row + 1) * hidden]
                outer += fc2[row * intermediate..<(row + 1) * intermediate]
            }
            let outputProjectionBias = zip(
                weight(linear(n, "self_attn.dense.bias"), hidden), weight(linear(n, "mlp.fc2.bias"), hidden)
            ).map { $0 + $1 }
            try writer.write(
                SectionName.blockNormWeight(n), vector: weight(linear(n, "input_layernorm.weight"), hidden))
            try writer.write(SectionName.blockNormBias(n), vector: weight(linear(n, "input_layernorm.bias"), hidden))
            try matrix(SectionName.inputProjectionWeight(n), inner, config.inputProjectionRows, hidden)
            try writer.write(SectionName.inputProjectionBias(n), vector: inputProjectionBias)
            try matrix(SectionName.outputProjectionWeight(n), outer, hidden, config.outputProjectionColumns)
            try writer.write(SectionName.outputProjectionBias(n), vector: outputProjectionBias)
        }
        try writer.write(SectionName.normWeight, vector: weight("model.final_layernorm.weight", hidden))
        try writer.write(SectionName.normBias, vector: weight("model.final_layernorm.bias", hidden))
        var headWeight = Array(weight("lm_head.weight", rows * hidden)[..<(tokens * hidden)])
        var headEncoding = encoding
        switch head {
        case .same: break
        case .encoded(let other): headEncoding = other
        case .rounded(let other):
            let tiles = try Self.encode(headWeight, tokens, hidden, other)
            headWeight.withUnsafeMutableBufferPointer { weights in
                for row in 0..<tokens {
                    let out = UnsafeMutableBufferPointer(rebasing: weights[row * hidden..<(row + 1) * hidden])
                    phi_row(tiles, other.rawValue, row, hidden, out.baseAddress)
                }
            }
        }
        try matrix(SectionName.headWeight, headWeight, tokens, hidden, headEncoding)
        try writer.write(SectionName.headBias, vector: Array(weight("lm_head.bias", rows)[..<tokens]))
        if let tests {
            let plain = try model(encoding)
            try writer.write(SectionName.tests, required: false, bytes: tests(plain).section())
        }
        try writer.commit()
    }

    /// A model like `model`, with sections of plain bytes added and the bytes of each section changed; at `path`, if there is one.
    package static func copy(
        of model: LanguageModel, adding added: [(name: String, bytes: [UInt8])] = [], to path: String? = nil,
        _ change: (String, inout [UInt8]) -> Void = { _, _ in }
    ) throws -> LanguageModel {
        let folder = try TemporaryFolder()
        let path = path ?? folder.at("copy.phi")
        let sections = model.file.sections
        let writer = try PhiFileWriter(path: path, sectionCount: sections.count + added.count, overwrite: false)
        for section in sections {
            var bytes = Array(model.file.bytes(of: section))
            change(section.name, &bytes)
            if let encoding = section.encoding {
                try writer.begin(section.name, encoding: encoding, rows: section.rows, columns: section.columns)
                try bytes.withUnsafeBytes { try writer.append($0) }
                try writer.end()
            } else {
                try writer.write(section.name, required: section.isRequired, bytes: bytes)
            }
        }
        for (name, bytes) in added { try writer.write(name, required: false, bytes: bytes) }
        try writer.commit()
        return try LanguageModel(contentsOf: path)
    }

    private static func encode(
        _ values: [Float], _ rows: Int, _ columns: Int, _ encoding: TensorEncoding
    ) throws -> [UInt8] {
        let tiles = (rows + 15) / 16
        var out = [UInt8](repeating: 0xff, count: encoding.byteCount(rows: rows, columns: columns) ?? 0)
        var errors = [Double](repeating: 0, count: tiles)
        var squares = errors
        let operation = try Kernels.named(nil).encode(encoding)
        values.withUnsafeBufferPointer { values in
            out.withUnsafeMutableBytes { out in
                errors.withUnsafeMutableBufferPointer { errors in
                    squares.withUnsafeMutableBufferPointer { squares in
                        var arguments = phi_encode_args(
                            rows: values.baseAddress, row_count: rows, columns: columns, out: out.baseAddress,
                            errors: errors.baseAddress, squares: squares.baseAddress, feedback: nil,
                            feedback_block: 0, importance: nil, differences: nil)
                        operation(&arguments, 0, tiles)
                    }
                }
            }
        }
        return out
    }
}
