import CPhiKernels
import PhiFormat
import PhiTokenizer

/// The forward pass of phi (Hugging Face `modeling_phi.py`): a batch of tokens through all blocks, then logits where
/// they are wanted. Each step is a kernel operation shared by the threads.
struct ForwardPass {
    let model: LanguageModel
    let threads: Threads
    let rotary: RotaryEmbedding
    let cache: KVCache
    let buffers: Activations

    private var config: ModelConfig { model.config }
    private var kernels: phi_kernels { model.kernels.table }

    /// Puts `tokens`, at most ``Activations/batch``, behind those in the cache; what they become is left in the residual.
    func run(_ tokens: ArraySlice<TokenID>) {
        embed(tokens)
        for (layer, block) in model.weights.blocks.enumerated() {
            normalise(buffers.residual.start, block.norm, rows: tokens.count)
            multiply(
                buffers.normed.start, buffers.hiddenStride, by: block.inner, block.innerBias, rows: tokens.count,
                into: buffers.inner.start, buffers.innerStride)
            rotate(rows: tokens.count)
            remember(layer, rows: tokens.count)
            attend(layer, rows: tokens.count)
            activate(rows: tokens.count)
            multiply(
                buffers.outer.start, buffers.outerStride, by: block.outer, block.outerBias, rows: tokens.count,
                into: buffers.residual.start, buffers.hiddenStride, accumulate: true)
        }
        cache.count += tokens.count
    }

    /// Logits of `rows` (at most ``Activations/logitsBatch``) of the last batch, left in the logits buffer.
    func logits(rows: Range<Int>) {
        normalise(
            buffers.residual.start + rows.lowerBound * buffers.hiddenStride, model.weights.norm, rows: rows.count)
        multiply(
            buffers.normed.start, buffers.hiddenStride, by: model.weights.head, model.weights.headBias,
            rows: rows.count, into: buffers.logits.start, buffers.logitsStride)
    }

    private func embed(_ tokens: ArraySlice<TokenID>) {
        for (row, token) in tokens.enumerated() {
            model.weights.embedding.copyRow(Int(token), to: buffers.residual.start + row * buffers.hiddenStride)
        }
    }

    private func normalise(_ x: UnsafePointer<Float>, _ norm: Weights.Norm, rows: Int) {
        var arguments = LayerNorm(
            x: x, y: buffers.normed.start, stride: buffers.hiddenStride, count: config.hiddenSize,
            weight: norm.weight.elements, bias: norm.bias.elements, epsilon: config.layerNormEpsilon)
        threads.run(LayerNorm.operation, items: rows, &arguments)
    }

    private func multiply(
        _ x: UnsafePointer<Float>, _ xStride: Int, by matrix: Matrix, _ bias: Vector, rows: Int,
        into out: UnsafeMutablePointer<Float>, _ outStride: Int, accumulate: Bool = false
    ) {
        if let zero = matrix.encoding.zero {
            var arguments = phi_quantise_args(
                x: x, x_stride: xStride, width: matrix.width, tokens: rows, zero: zero, q: buffers.quantised.start,
                scales: buffers.scales.start, starts: buffers.starts.start)
            threads.run(kernels.quantise, items: phi_quantise_items(&arguments), &arguments)
        }
        var arguments = phi_matmul_args(
            weights: matrix.tiles, bias: bias.elements, rows: matrix.rows, width: matrix.width, tokens: rows, x: x,
            x_stride: xStride, q: buffers.quantised.start, scales: buffers.scales.start, starts: buffers.starts.start,
            out: out, out_stride: outStride, accumulate: accumulate, tile_bytes: 0)
        let items = phi_matmul_items(&arguments, matrix.encoding.blockBytes)
        threads.run(model.kernels.matmul(matrix.encoding), items: items, &arguments)
        if model.releasesPages { model.file.mapping.release(matrix.bytes) }
    }

    private func rotate(rows: Int) {
        var arguments = Rotation(
            rotary: Unmanaged.passUnretained(rotary), row: buffers.inner.start, stride: buffers.innerStride,
            heads: config.heads + config.kvHeads, headSize: config.headSize, first: cache.count)
        threads.run(Rotation.operation, items: rows, &arguments)
    }

    private func remember(_ layer: Int, rows: Int) {
        let keys = buffers.inner.start + config.querySize
        var arguments = phi_store_args(
            k: keys, v: keys + config.keySize, stride: buffers.innerStride, tokens: rows, first: cache.count,
            keys: cache.keys(layer), values: cache.values(layer), key_stride: cache.keyStride,
            value_stride: cache.valueStride, head_size: config.headSize, value_size: cache.valueSize)
        threads.run(cache.isHalf ? kernels.store_f16 : kernels.store_f32, items: config.kvHeads, &arguments)
    }

    private func attend(_ layer: Int, rows: Int) {
        var arguments = phi_attention_args(
            q: buffers.inner.start, q_stride: buffers.innerStride, keys: cache.keys(layer),
            values: cache.values(layer), key_stride: cache.keyStride, value_stride: cache.valueStride,
            head_size: config.headSize, value_size: cache.valueSize, heads: config.heads, kv_heads: config.kvHeads,
            first: cache.count, tokens: rows, scale: 1 / Float(config.headSize).squareRoot(),
            out: buffers.outer.start, out_stride: buffers.outerStride)
        let items = phi_attention_items(&arguments)
        threads.run(cache.isHalf ? kernels.attention_f16 : kernels.attention_f32, items: items, &arguments)
    }

    private func activate(rows: Int) {
        var arguments = phi_gelu_args(
            x: buffers.inner.start + config.querySize + 2 * config.keySize, x_stride: buffers.innerStride,
            out: buffers.outer.start + config.querySize, out_stride: buffers.outerStride,
            columns: config.intermediateSize)
        threads.run(kernels.gelu, items: phi_gelu_items(&arguments, rows), &arguments)
    }
}

/// Rotary embedding of queries and keys as a kernel operation whose items are rows: keys follow queries, so both are one
/// run of heads.
private struct Rotation {
    let rotary: Unmanaged<RotaryEmbedding>
    let row: UnsafeMutablePointer<Float>  // [rows][stride]
    let stride: Int
    let heads: Int
    let headSize: Int
    let first: Int

    static let operation: phi_operation = { arguments, begin, end in
        guard let r = arguments?.assumingMemoryBound(to: Rotation.self).pointee else { return }
        r.rotary._withUnsafeGuaranteedRef { rotary in
            for row in begin..<end {
                rotary.rotate(r.row + row * r.stride, heads: r.heads, headSize: r.headSize, position: r.first + row)
            }
        }
    }
}

extension TensorEncoding {
    /// What means zero among the stored integers, or nil for weights that are floats.
    fileprivate var zero: Int32? {
        switch self {
        case .q4: Int32(PHI_ZERO_Q4)
        case .q8: Int32(PHI_ZERO_Q8)
        case .f16, .f32, .vector: nil
        }
    }
}
