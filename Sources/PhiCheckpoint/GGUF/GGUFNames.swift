import Phi
import PhiFormat

/// The tensors of llama.cpp's `phi2`: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py.
///
/// No rows are permuted: llama.cpp's rotary embedding of phi2 pairs dimensions as Hugging Face's does (NEOX).
package enum GGUFNames {
    /// The name of a parameter's tensor; of query, key and value the one of its own.
    package static func name(of parameter: Parameter) -> String {
        switch parameter {
        case .weight(let module): name(module) + ".weight"
        case .bias(let module): name(module) + ".bias"
        }
    }

    private static func name(_ module: Module) -> String {
        switch module {
        case .embedding: "token_embd"
        case .norm(let block): "blk.\(block).attn_norm"
        case .query(let block): "blk.\(block).attn_q"
        case .key(let block): "blk.\(block).attn_k"
        case .value(let block): "blk.\(block).attn_v"
        case .dense(let block): "blk.\(block).attn_output"
        case .fc1(let block): "blk.\(block).ffn_up"
        case .fc2(let block): "blk.\(block).ffn_down"
        case .finalNorm: "output_norm"
        case .head: "output"
        }
    }

    /// The tensors of all parameters of a model whose embedding has `rows` rows.
    ///
    /// Query, key and value are three modules, or the rows of one, `attn_qkv`, in this order. Their biases may be missing, which
    /// is zero to llama.cpp too. Throws ``FormatError`` with the
    /// first tensor that is missing, of another shape or type, or left over, and how many more there are.
    static func tensors(
        of gguf: GGUFFile, _ config: ModelConfig, rows: Int
    ) throws(FormatError) -> [Parameter: StoredTensor] {
        var faults: [FormatError] = []
        func add(_ fault: String) { faults.append(FormatError(gguf.file.path, fault)) }
        var found: [Parameter: StoredTensor] = [:]
        var used: Set<String> = []
        for parameter in Parameter.all(layers: config.layers) {
            var (count, columns) = config.shape(of: parameter)
            var name = name(of: parameter)
            let isVector = parameter.isVector
            var part: Range<Int>?
            switch parameter.module {
            case .embedding, .head: count = rows
            case .query(let block), .key(let block), .value(let block):
                let fused = "blk.\(block).attn_qkv" + (isVector ? ".bias" : ".weight")
                if isVector, gguf.tensors[name] == nil, gguf.tensors[fused] == nil { continue }
                guard gguf.tensors[name] == nil, gguf.tensors[fused] != nil else { break }
                name = fused
                let start =
                    switch parameter.module {
                    case .query: 0
                    case .key: config.querySize
                    default: config.querySize + config.keySize
                    }
                part = start..<start + count
                count = config.querySize + 2 * config.keySize
            default: break
            }
            let isNew = used.insert(name).inserted  // a fused tensor holds three parameters and is at fault once
            let shape = isVector ? [count] : [count, columns]
            guard let tensor = gguf.tensors[name] else {
                add("has no tensor \(name.shown)")
                continue
            }
            if tensor.shape != shape {
                if isNew { add("tensor \(name.shown) has shape \(tensor.shape), not \(shape)") }
            } else if case .other(let type) = tensor.elementType {
                if isNew {
                    add("tensor \(name.shown) is of type \(type); take a file of \(ElementType.ggmlTypes)")
                }
            } else {
                found[parameter] = part.map(tensor.rows) ?? tensor
            }
        }
        for name in gguf.tensors.keys.sorted() where !used.contains(name) && name != "rope_freqs.weight" {
            add("has tensor \(name.shown), which no phi model has")
        }
        try faults.throwFirst()
        return found
    }
}
