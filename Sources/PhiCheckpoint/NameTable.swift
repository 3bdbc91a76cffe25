/// What a checkpoint calls the parts of a phi model. One row for each of the ways in which phi has been published.
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

    let naming: Naming
    let embedding: String
    /// What the names of block i's modules begin with.
    let block: @Sendable (_ block: Int) -> String
    let norm: String
    let attention: Attention
    let dense: String
    let finalNorm: @Sendable (_ layers: Int) -> String
    let head: @Sendable (_ layers: Int) -> String

    static let all: [NameTable] = [
        NameTable(
            naming: .current, embedding: "model.embed_tokens", block: { "model.layers.\($0)." },
            norm: "input_layernorm",
            attention: .split(query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj"),
            dense: "self_attn.dense", finalNorm: { _ in "model.final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            naming: .firstPort, embedding: "model.embed_tokens", block: { "model.layers.\($0)." },
            norm: "input_layernorm", attention: .headsByThree("self_attn.query_key_value"),
            dense: "self_attn.dense", finalNorm: { _ in "model.final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            naming: .transformer, embedding: "transformer.embd.wte", block: { "transformer.h.\($0)." }, norm: "ln",
            attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { _ in "lm_head.ln" }, head: { _ in "lm_head.linear" }),
        NameTable(
            naming: .mixformer, embedding: "layers.0.wte", block: { "layers.\($0 + 1)." }, norm: "ln",
            attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { "layers.\($0 + 1).ln" }, head: { "layers.\($0 + 1).linear" }),
    ]

    /// The row that most of `names` belong to, for a model of `layers` blocks; nil if it is none.
    static func detect(in names: some Sequence<String>, layers: Int) -> NameTable? {
        let names = Set(names)
        func hits(_ table: NameTable) -> Int { table.allNames(layers: layers).count(where: names.contains) }
        let best = all.map { ($0, hits($0)) }.reduce(nil as (NameTable, Int)?) { best, next in
            next.1 > best?.1 ?? 0 ? next : best
        }
        return best?.0
    }

    /// Buffers that old checkpoints carry and that follow from the config: the rotary embedding's frequencies.
    static func isSkipped(_ name: String) -> Bool { name.hasSuffix(".rotary_emb.inv_freq") }

    /// The name of the tensor that holds a part.
    func name(of part: Part, layers: Int) -> String { module(part.layer, layers) + part.suffix }

    private func module(_ layer: Layer, _ layers: Int) -> String {
        switch layer {
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
    }

    private func attentionModule(_ third: Int) -> String {
        switch attention {
        case .split(let query, let key, let value): [query, key, value][third]
        case .threeByHeads(let name), .headsByThree(let name): name
        }
    }

    private func allNames(layers: Int) -> Set<String> {
        Set(Part.all(layers: layers).map { name(of: $0, layers: layers) })
    }
}

/// The ways in which phi checkpoints have named their tensors.
public enum Naming: String, Sendable, CaseIterable {
    /// `model.layers.0.self_attn.q_proj.weight`: transformers since 4.37.
    case current
    /// `model.layers.0.self_attn.query_key_value.weight`: transformers 4.36.
    case firstPort = "first port"
    /// `transformer.h.0.mixer.Wqkv.weight`: the code published with phi-2, `phi-msft`.
    case transformer
    /// `layers.1.mixer.Wqkv.weight`: the code published with phi-1 and phi-1.5, `mixformer-sequential`.
    case mixformer = "mixformer-sequential"
}

extension Part {
    /// All parts of a model of `layers` blocks, in the order of the forward pass.
    public static func all(layers: Int) -> [Part] {
        var parts: [Part] = [.weight(.embedding)]
        for block in 0..<layers {
            for layer: Layer in [
                .norm(block), .query(block), .key(block), .value(block), .dense(block), .fc1(block), .fc2(block),
            ] {
                parts += [.weight(layer), .bias(layer)]
            }
        }
        return parts + [.weight(.finalNorm), .bias(.finalNorm), .weight(.head), .bias(.head)]
    }
}
