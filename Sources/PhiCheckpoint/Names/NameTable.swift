/// The names of a phi model's modules in one naming scheme. A new scheme is one row of ``all``.
struct NameTable {
    /// How queries, keys and values are kept.
    enum Attention {
        /// Three modules.
        case split(query: String, key: String, value: String)
        /// One module whose rows are ordered [3, heads, head size].
        case threeByHeads(String)
        /// One module whose rows are ordered [heads, 3, head size].
        case headsByThree(String)
    }

    let scheme: NamingScheme
    let embedding: String
    /// The prefix of the names of a block's modules.
    let block: @Sendable (_ block: Int) -> String
    let norm: String
    let attention: Attention
    let dense: String
    let finalNorm: @Sendable (_ layers: Int) -> String
    let head: @Sendable (_ layers: Int) -> String

    static let all: [NameTable] = [
        NameTable(
            scheme: .current, embedding: "model.embed_tokens", block: { "model.layers.\($0)." },
            norm: "input_layernorm",
            attention: .split(query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj"),
            dense: "self_attn.dense", finalNorm: { _ in "model.final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            scheme: .firstPort, embedding: "model.embed_tokens", block: { "model.layers.\($0)." },
            norm: "input_layernorm", attention: .headsByThree("self_attn.query_key_value"),
            dense: "self_attn.dense", finalNorm: { _ in "model.final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            scheme: .transformer, embedding: "transformer.embd.wte", block: { "transformer.h.\($0)." }, norm: "ln",
            attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { _ in "lm_head.ln" }, head: { _ in "lm_head.linear" }),
        NameTable(
            scheme: .mixformer, embedding: "layers.0.wte", block: { "layers.\($0 + 1)." }, norm: "ln",
            attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { "layers.\($0 + 1).ln" }, head: { "layers.\($0 + 1).linear" }),
    ]

    /// The first of the tables that most of `names` are in, for a model of `layers` blocks; nil if none is in any.
    static func detect(in names: Dictionary<String, StoredTensor>.Keys, layers: Int) -> NameTable? {
        let hits = all.map { table in
            Set(Parameter.all(layers: layers).map { table.name(of: $0, layers: layers) }).count(where: names.contains)
        }
        guard let most = hits.max(), most > 0 else { return nil }
        return zip(all, hits).first { $0.1 == most }?.0
    }

    /// Buffers that old checkpoints carry and that follow from the config: the rotary embedding's frequencies.
    static func isSkipped(_ name: String) -> Bool { name.hasSuffix(".rotary_emb.inv_freq") }

    /// The name of the tensor that holds a parameter.
    func name(of parameter: Parameter, layers: Int) -> String {
        let module =
            switch parameter.module {
            case .embedding: embedding
            case .norm(let block): self.block(block) + norm
            case .query(let block): self.block(block) + attentionModule(0)
            case .key(let block): self.block(block) + attentionModule(1)
            case .value(let block): self.block(block) + attentionModule(2)
            case .dense(let block): self.block(block) + dense
            case .fc1(let block): self.block(block) + "mlp.fc1"
            case .fc2(let block): self.block(block) + "mlp.fc2"
            case .finalNorm: finalNorm(layers)
            case .head: head(layers)
            }
        return switch parameter {
        case .weight: module + ".weight"
        case .bias: module + ".bias"
        }
    }

    private func attentionModule(_ third: Int) -> String {
        switch attention {
        case .split(let query, let key, let value): [query, key, value][third]
        case .threeByHeads(let name), .headsByThree(let name): name
        }
    }
}

/// The naming schemes that phi checkpoints have been published with.
package enum NamingScheme: String, Sendable {
    /// `model.layers.0.self_attn.q_proj.weight`: transformers since 4.37.
    case current
    /// `model.layers.0.self_attn.query_key_value.weight`: transformers 4.36.
    case firstPort = "first port"
    /// `transformer.h.0.mixer.Wqkv.weight`: the code published with phi-2, `phi-msft`.
    case transformer
    /// `layers.1.mixer.Wqkv.weight`: the code published with phi-1 and phi-1.5, `mixformer-sequential`.
    case mixformer = "mixformer-sequential"
    /// `blk.0.attn_q.weight`: llama.cpp's GGUF files, see ``GGUFNames``.
    case gguf = "llama.cpp"
}
