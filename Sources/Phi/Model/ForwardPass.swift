import CPhiKernels
import PhiFormat
import PhiTokenizer

/// The forward pass of phi (Hugging Face `modeling_phi.py`): rows of tokens, of one text or of several, through all blocks,
/// then logits where they are wanted. Each step is a kernel operation that the threads share; they are written down here
/// and done when ``Program/run()`` is called.
struct ForwardPass {
    /// Neighbouring tokens of one text, which are rows `row...` of the batch.
    struct Part {
        let cache: KVCache
        let tokens: ArraySlice<TokenID>
        let row: Int
    }

    let config: ModelConfig
    let kernels: Kernels
    /// The mapping whose pages are given back as soon as they have been used, for a model that runs once.
    let released: MappedFile?
    let rotary: RotaryEmbedding
    let buffers: Activations
    let program: Program

    /// Puts the parts' tokens, together `rows` and at most ``Activations/batch``, behind those in their caches; what they
    /// become is left in the residual.
    func run(_ parts: [Part], rows: Int, through weights: Weights) {
        for part in parts { embed(part, weights.embedding) }
        for (layer, block) in weights.blocks.enumerated() {
            first(block, layer, parts, rows: rows)
            second(block, rows: rows)
        }
        for part in parts { part.cache.count += part.tokens.count }
    }

    /// The first half of a block: what goes into its second matrix is left in the outer buffer.
    func first(_ block: Weights.Block, _ layer: Int, _ parts: [Part], rows: Int) {
        multiply(
            normalised(block.norm), by: block.inner, block.inputProjectionBias, rows: rows,
            into: buffers.inner.start, buffers.innerStride)
        activate(rows: rows, for: block.outer)
        for part in parts { remember(layer, part) }
        for (number, part) in parts.enumerated() { attend(layer, part, concurrentWithPrevious: number > 0) }
    }

    /// The second half of a block, added to the residual.
    func second(_ block: Weights.Block, rows: Int) {
        multiply(
            .outer, by: block.outer, block.outputProjectionBias, rows: rows,
            into: buffers.residual.start, buffers.hiddenStride, accumulate: true)
    }

    /// Logits of `rows` of the last batch, at most ``Activations/logitsBatch``, left in the logits buffer from row `first`
    /// on. Once a program.
    func logits(rows: some Collection<Int>, first: Int = 0, through weights: Weights) {
        for (number, row) in rows.enumerated() { buffers.wantedRows.start[number] = Int32(row) }
        let isRounded = weights.head.encoding.zero != nil
        let norm = normalised(rows: UnsafePointer(buffers.wantedRows.start), weights.norm, inTwo: isRounded)
        let out = buffers.logits.start + first * buffers.logitsStride
        guard isRounded else {
            multiply(norm, by: weights.head, weights.headBias, rows: rows.count, into: out, buffers.logitsStride)
            return
        }
        // What rounding the head's inputs loses goes straight into the logits, and the head is read once a pass: so what rounding
        // leaves of a row goes through it too, as a row of its own.
        multiply(
            norm, by: weights.head, Vector(count: weights.headBias.count, elements: buffers.noBias.start),
            rows: 2 * rows.count, into: buffers.headProducts.start, buffers.logitsStride)
        let sum = PairSum(
            products: buffers.headProducts.start, bias: weights.headBias.elements, out: out,
            stride: buffers.logitsStride, count: weights.head.rows)
        program.add(PairSum.operation, items: rows.count * sum.chunks, sum)
    }

    private func embed(_ part: Part, _ embedding: Matrix) {
        for (row, token) in part.tokens.enumerated() {
            embedding.copyRow(
                Int(token), to: buffers.residual.start + (part.row + row) * buffers.hiddenStride)
        }
    }

    /// What a product takes.
    private enum Input {
        /// The outer buffer's rows, in which GELU's outputs are quantised already.
        case outer
        /// Two rows for each where `inTwo` is set: itself, and what quantising it leaves.
        case normalised(LayerNorm, inTwo: Bool)
    }

    private func normalised(
        rows: UnsafePointer<Int32>? = nil, _ norm: Weights.Norm, inTwo: Bool = false
    ) -> Input {
        .normalised(
            LayerNorm(
                x: buffers.residual.start, rows: rows, y: buffers.normed.start, stride: buffers.hiddenStride,
                count: config.hiddenSize, weight: norm.weight.elements, bias: norm.bias.elements,
                epsilon: config.layerNormEpsilon),
            inTwo: inTwo)
    }

    private func multiply(
        _ input: Input, by matrix: Matrix, _ bias: Vector, rows: Int, into out: UnsafeMutablePointer<Float>,
        _ outStride: Int, accumulate: Bool = false
    ) {
        let (x, xStride) =
            switch input {
            case .outer: (UnsafePointer(buffers.outer.start), buffers.outerStride)
            case .normalised(let norm, _): (UnsafePointer(norm.y), norm.stride)
            }
        let quantise = matrix.encoding.zero == nil ? nil : kernels.table.quantise
        var quantisation = quantisation(of: x, xStride, for: matrix, rows: rows)
        let quantisationItems = phi_quantise_items(&quantisation)
        switch input {
        case .outer:
            if let activation = activation(rows: rows, for: matrix) {
                program.add(Activation.rest, items: activation.tiles * activation.attended, activation)
            }
        case .normalised(let norm, let inTwo):
            let tiles = (rows + Int(PHI_TOKEN_TILE) - 1) / Int(PHI_TOKEN_TILE)
            program.add(
                Preparation.operation, items: tiles,
                Preparation(
                    norm: norm, inTwo: inTwo, rows: rows, quantise: quantise, quantisation: quantisation,
                    itemsPerTile: quantisationItems / tiles))
        }
        var product = phi_matmul_args(
            weights: matrix.tiles, bias: bias.elements, rows: matrix.rows, width: matrix.width, tokens: rows, x: x,
            x_stride: xStride, q: buffers.quantised.start, scales: buffers.scales.start, starts: buffers.starts.start,
            group_starts: buffers.groupStarts.start, out: out, out_stride: outStride, accumulate: accumulate,
            tile_bytes: 0)
        let items = phi_matmul_items(&product, matrix.encoding.stripBytes)
        program.add(kernels.matmul(matrix.encoding), items: items, product)
        if let released {
            program.run()
            released.release(matrix.bytes)
        }
    }

    private func quantisation(
        of x: UnsafePointer<Float>, _ stride: Int, for matrix: Matrix, rows: Int
    ) -> phi_quantise_args {
        phi_quantise_args(
            x: x, x_stride: stride, width: matrix.width, tokens: rows, zero: matrix.encoding.zero ?? 0,
            q: buffers.quantised.start, scales: buffers.scales.start, starts: buffers.starts.start,
            group_starts: buffers.groupStarts.start)
    }

    /// GELU, beside which keys and values are stored and queries attend: nothing of theirs meets.
    private func activate(rows: Int, for outer: Matrix) {
        if let activation = activation(rows: rows, for: outer) {
            program.add(Activation.operation, items: activation.tiles * activation.pieces, activation)
        } else {
            var arguments = gelu
            program.add(kernels.table.gelu, items: phi_gelu_items(&arguments, rows), arguments)
        }
    }

    private var gelu: phi_gelu_args {
        phi_gelu_args(
            x: buffers.inner.start + config.querySize + 2 * config.keySize, x_stride: buffers.innerStride,
            out: buffers.outer.start + config.querySize, out_stride: buffers.outerStride,
            columns: config.intermediateSize)
    }

    /// Nil for weights that are floats.
    private func activation(rows: Int, for outer: Matrix) -> Activation? {
        guard outer.encoding.zero != nil else { return nil }
        return Activation(
            gelu: gelu,
            quantisation: quantisation(of: buffers.outer.start, buffers.outerStride, for: outer, rows: rows),
            geluOperation: kernels.table.gelu, quantiseOperation: kernels.table.quantise, before: config.querySize)
    }

    /// Turns queries and keys, and stores keys and values.
    private func remember(_ layer: Int, _ part: Part) {
        let queries = buffers.inner.start + part.row * buffers.innerStride
        let keys = queries + config.querySize
        let cache = part.cache
        let store = CacheStore(
            rotary: Unmanaged.passUnretained(rotary), queries: queries, queriesPerKey: config.heads / config.kvHeads,
            kvHeads: config.kvHeads, store: kernels.table.store(cache.encoding),
            arguments: phi_store_args(
                k: keys, v: keys + config.keySize, stride: buffers.innerStride, tokens: part.tokens.count,
                first: cache.count, keys: cache.keys(layer), values: cache.values(layer),
                key_stride: cache.keyStride, value_stride: cache.valueStride, key_scales: cache.keyScales(layer),
                value_scales: cache.valueScales(layer), scale_stride: cache.scaleStride, head_size: config.headSize,
                value_size: cache.valueSize))
        program.add(CacheStore.operation, items: store.items, store, concurrentWithPrevious: true)
    }

    private func attend(_ layer: Int, _ part: Part, concurrentWithPrevious: Bool) {
        let cache = part.cache
        var arguments = phi_attention_args(
            q: buffers.inner.start + part.row * buffers.innerStride, q_stride: buffers.innerStride,
            keys: cache.keys(layer), values: cache.values(layer), key_stride: cache.keyStride,
            value_stride: cache.valueStride, key_scales: cache.keyScales(layer),
            value_scales: cache.valueScales(layer), scale_stride: cache.scaleStride, head_size: config.headSize,
            value_size: cache.valueSize, heads: config.heads, kv_heads: config.kvHeads, first: cache.count,
            tokens: part.tokens.count, scale: 1 / Float(config.headSize).squareRoot(),
            out: buffers.outer.start + part.row * buffers.outerStride, out_stride: buffers.outerStride)
        let items = phi_attention_items(&arguments)
        program.add(
            kernels.table.attention(cache.encoding), items: items, arguments,
            concurrentWithPrevious: concurrentWithPrevious)
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

extension phi_kernels {
    fileprivate func store(_ encoding: CacheEncoding) -> phi_operation {
        switch encoding {
        case .f32: store_f32
        case .f16: store_f16
        case .q8: store_q8
        }
    }

    fileprivate func attention(_ encoding: CacheEncoding) -> phi_operation {
        switch encoding {
        case .f32: attention_f32
        case .f16: attention_f16
        case .q8: attention_q8
        }
    }
}
