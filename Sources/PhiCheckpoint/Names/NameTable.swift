/// The names of a model's modules in one naming scheme, and the order of their rows. A new scheme is one row of ``all``.
///
/// Names stand below two prefixes, ``Prefixes``: `model.` of transformers' body, before which programs have put more.
struct NameTable: Sendable {
    /// How queries, keys and values are kept.
    enum Attention: Sendable {
        /// Three modules.
        case split(query: String, key: String, value: String)
        /// One module whose rows are ordered [3, heads, head size].
        case threeByHeads(String)
        /// One module whose rows are ordered [heads, 3, head size].
        case headsByThree(String)
        /// One module whose rows are ordered [4, (query, value, key), heads / 4, head size].
        case fourByThree(String)
    }

    /// The modules that stand outside the body.
    enum Outside {
        case none
        case head
        case finalNormAndHead
    }

    let scheme: NamingScheme
    /// The body's prefix as published.
    let body: String
    let outside: Outside
    let embedding: String
    /// The prefix of the names of a block's modules.
    let block: @Sendable (_ block: Int) -> String
    let norm: String
    let attention: Attention
    let dense: String
    var fc1 = "mlp.fc1"
    var fc2 = "mlp.fc2"
    /// Whether queries, keys, values and dense have biases.
    var attentionHasBiases = true
    /// Whether dimension 2 i of a head is rotated with 2 i + 1, not dimension i with i + rotary / 2.
    var rotaryIsInterleaved = false
    let finalNorm: @Sendable (_ layers: Int) -> String
    let head: @Sendable (_ layers: Int) -> String

    static let all: [NameTable] = [
        NameTable(
            scheme: .current, body: "model.", outside: .head, embedding: "embed_tokens", block: { "layers.\($0)." },
            norm: "input_layernorm",
            attention: .split(query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj"),
            dense: "self_attn.dense", finalNorm: { _ in "final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            scheme: .firstPort, body: "model.", outside: .head, embedding: "embed_tokens", block: { "layers.\($0)." },
            norm: "input_layernorm", attention: .headsByThree("self_attn.query_key_value"),
            dense: "self_attn.dense", finalNorm: { _ in "final_layernorm" }, head: { _ in "lm_head" }),
        NameTable(
            scheme: .transformer, body: "transformer.", outside: .finalNormAndHead, embedding: "embd.wte",
            block: { "h.\($0)." }, norm: "ln", attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { _ in "lm_head.ln" }, head: { _ in "lm_head.linear" }),
        NameTable(
            scheme: .mixformer, body: "", outside: .none, embedding: "layers.0.wte", block: { "layers.\($0 + 1)." },
            norm: "ln", attention: .threeByHeads("mixer.Wqkv"), dense: "mixer.out_proj",
            finalNorm: { "layers.\($0 + 1).ln" }, head: { "layers.\($0 + 1).linear" }),
        NameTable(
            scheme: .codegen, body: "transformer.", outside: .head, embedding: "wte", block: { "h.\($0)." },
            norm: "ln_1",
            attention: .fourByThree("attn.qkv_proj"), dense: "attn.out_proj", fc1: "mlp.fc_in", fc2: "mlp.fc_out",
            attentionHasBiases: false, rotaryIsInterleaved: true, finalNorm: { _ in "ln_f" }, head: { _ in "lm_head" }),
        NameTable(
            scheme: .gptj, body: "transformer.", outside: .head, embedding: "wte", block: { "h.\($0)." }, norm: "ln_1",
            attention: .split(query: "attn.q_proj", key: "attn.k_proj", value: "attn.v_proj"), dense: "attn.out_proj",
            fc1: "mlp.fc_in", fc2: "mlp.fc_out", attentionHasBiases: false, rotaryIsInterleaved: true,
            finalNorm: { _ in "ln_f" }, head: { _ in "lm_head" }),
    ]

    /// The name of the tensor that holds a parameter.
    func name(of parameter: Parameter, layers: Int, _ prefixes: Prefixes) -> String {
        let module =
            switch parameter.module {
            case .embedding: embedding
            case .norm(let block): self.block(block) + norm
            case .query(let block): self.block(block) + attentionModule(0)
            case .key(let block): self.block(block) + attentionModule(1)
            case .value(let block): self.block(block) + attentionModule(2)
            case .dense(let block): self.block(block) + dense
            case .fc1(let block): self.block(block) + fc1
            case .fc2(let block): self.block(block) + fc2
            case .finalNorm: finalNorm(layers)
            case .head: head(layers)
            }
        let prefix = isOutside(parameter.module) ? prefixes.outside : prefixes.body
        return switch parameter {
        case .weight: prefix + module + ".weight"
        case .bias: prefix + module + ".bias"
        }
    }

    func isOutside(_ module: Module) -> Bool {
        switch (module, outside) {
        case (.head, .head), (.head, .finalNormAndHead), (.finalNorm, .finalNormAndHead): true
        default: false
        }
    }

    /// Whether checkpoints have no such parameter, which is zero.
    func lacks(_ parameter: Parameter) -> Bool {
        guard case .bias(let module) = parameter, !attentionHasBiases else { return false }
        switch module {
        case .query, .key, .value, .dense: return true
        default: return false
        }
    }

    private func attentionModule(_ third: Int) -> String {
        switch attention {
        case .split(let query, let key, let value): [query, key, value][third]
        case .threeByHeads(let name), .headsByThree(let name), .fourByThree(let name): name
        }
    }
}

/// The naming schemes that phi checkpoints have been published with, and those of models that compute the same.
package enum NamingScheme: String, Sendable {
    /// `model.layers.0.self_attn.q_proj.weight`: transformers since 4.37.
    case current
    /// `model.layers.0.self_attn.query_key_value.weight`: transformers 4.36.
    case firstPort = "first port"
    /// `transformer.h.0.mixer.Wqkv.weight`: the code published with phi-2, `phi-msft`.
    case transformer
    /// `layers.1.mixer.Wqkv.weight`: the code published with phi-1 and phi-1.5, `mixformer-sequential`.
    case mixformer = "mixformer-sequential"
    /// `transformer.h.0.attn.qkv_proj.weight`: `CodeGenForCausalLM`.
    case codegen
    /// `transformer.h.0.attn.q_proj.weight`: `GPTJForCausalLM`.
    case gptj
    /// `blk.0.attn_q.weight`: llama.cpp's GGUF files, see ``GGUFNames``.
    case gguf = "llama.cpp"

    /// Whether a checkpoint of `type`, the `model_type` of its config.json, may have these names.
    func fits(modelType type: String) -> Bool {
        switch self {
        case .codegen, .gptj: type == rawValue
        case .current, .firstPort, .transformer, .mixformer, .gguf: type != "codegen" && type != "gptj"
        }
    }
}
