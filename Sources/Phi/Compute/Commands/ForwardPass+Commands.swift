import CPhiKernels
import PhiFormat

// The steps of a forward pass as commands: each function records a kernel operation with its arguments.
extension ForwardPass {
    /// residual[row] = embedding[token of row]
    func embed(_ segments: [Segment], rows: Int, _ embedding: Matrix) {
        for segment in segments {
            for (number, token) in segment.tokens.enumerated() {
                activations.tokens.start[segment.row + number] = token
            }
        }
        let lookup = EmbeddingLookup(
            embedding: embedding, tokens: UnsafePointer(activations.tokens.start), out: activations.residual)
        commands.record(EmbeddingLookup.operation, items: rows, lookup)
    }

    /// normed = layer norm of the residual stream, quantised if its product is with a quantised `matrix`. `selected`:
    /// of the rows in ``Activations/logitsRowNumbers`` instead of all. `withResiduals`: each row is followed by its
    /// quantisation residual; `rows` counts both.
    func normalise(
        _ norm: Weights.Norm, rows: Int, selected: Bool = false, withResiduals: Bool = false,
        quantisedFor matrix: Matrix
    ) {
        var quantisation = quantisation(of: activations.normed, for: matrix, rows: rows)
        let tiles = (rows + Int(PHI_TOKEN_TILE) - 1) / Int(PHI_TOKEN_TILE)
        let command = NormAndQuantise(
            norm: layerNorm(norm, of: selected ? UnsafePointer(activations.logitsRowNumbers.start) : nil),
            withResiduals: withResiduals, rows: rows,
            quantise: matrix.encoding.isQuantised ? kernels.table.quantise : nil, quantisation: quantisation,
            itemsPerTile: phi_quantise_items(&quantisation) / tiles)
        commands.record(NormAndQuantise.operation, items: tiles, command)
    }

    /// Computes layer norms of the first `rows` rows of the residual stream immediately, without recording. Conversion
    /// uses it to see the inputs of a matrix before the matrix is encoded.
    package func normaliseNow(_ norm: Weights.Norm, rows: Int) {
        let norm = layerNorm(norm)
        for row in 0..<rows { norm.normalise(row) }
    }

    private func layerNorm(_ norm: Weights.Norm, of rows: UnsafePointer<Int32>? = nil) -> LayerNorm {
        let (x, y) = (activations.residual, activations.normed)
        return LayerNorm(
            x: UnsafePointer(x.start), rows: rows, y: y.start, stride: x.stride, count: config.hiddenSize,
            weight: norm.weight.elements, bias: norm.bias.elements, epsilon: config.layerNormEpsilon)
    }

    /// out = x matrix^T + bias, or out += that. If `matrix` is quantised, `x` must be the rows that were quantised last.
    func multiply(
        _ x: Rows, by matrix: Matrix, _ bias: Vector, rows: Int, into out: Rows, accumulate: Bool = false
    ) {
        var product = phi_matmul_args(
            weights: matrix.tiles, bias: bias.elements, rows: matrix.rows, width: matrix.width, tokens: rows,
            x: UnsafePointer(x.start), x_stride: x.stride, q: activations.quantised.start,
            scales: activations.scales.start, zero_corrections: activations.zeroCorrections.start,
            group_zero_corrections: activations.groupZeroCorrections.start, out: out.start, out_stride: out.stride,
            accumulate: accumulate, tile_bytes: 0)
        let items = phi_matmul_items(&product, matrix.encoding.rawValue)
        commands.record(kernels.matmul(matrix.encoding), items: items, product)
        if let released { commands.recordRelease(of: matrix.bytes, in: released) }
    }

    /// activated = GELU(intermediate), quantised if `outputProjection` is, except for chunks with attended columns.
    func gelu(rows: Int, quantisedFor outputProjection: Matrix) {
        if let command = geluAndQuantise(rows: rows, for: outputProjection) {
            commands.record(GELUAndQuantise.operation, items: command.tiles * command.pieces, command)
        } else {
            var arguments = geluArguments
            commands.record(kernels.table.gelu, items: phi_gelu_items(&arguments, rows), arguments)
        }
    }

    /// Quantises the chunks of mixed with attended columns, if `outputProjection` is quantised.
    package func quantiseAttended(rows: Int, for outputProjection: Matrix) {
        guard let command = geluAndQuantise(rows: rows, for: outputProjection) else { return }
        commands.record(
            GELUAndQuantise.quantiseAttended, items: command.tiles * command.attendedChunks, command)
    }

    /// Applies the rotary embedding to queries and keys, and appends keys and values to the KV cache, concurrently with
    /// GELU, which uses other columns.
    func appendToKVCache(_ layer: Int, _ segment: Segment) {
        rotary.fill(to: segment.position + segment.tokens.count)
        let cache = segment.cache
        let keys = activations.keys.from(row: segment.row), values = activations.values.from(row: segment.row)
        let command = AppendToKVCache(
            rotary: Unmanaged.passUnretained(rotary), queries: activations.queries.from(row: segment.row), keys: keys,
            queriesPerKey: config.heads / config.kvHeads, kvHeads: config.kvHeads,
            store: kernels.table.store(cache.encoding),
            arguments: phi_store_args(
                k: keys.start, v: values.start, stride: keys.stride, tokens: segment.tokens.count,
                first: segment.position, keys: cache.keys(layer), values: cache.values(layer),
                key_stride: cache.keyStride, value_stride: cache.valueStride, key_scales: cache.keyScales(layer),
                value_scales: cache.valueScales(layer), scale_stride: cache.scaleStride, head_size: config.headSize,
                value_size: cache.valueSize))
        commands.record(AppendToKVCache.operation, items: command.items, command, concurrentWithPrevious: true)
    }

    /// attended = causal attention of the segment's queries over its sequence's keys and values so far.
    func attend(_ layer: Int, _ segment: Segment, concurrentWithPrevious: Bool) {
        let cache = segment.cache
        let queries = activations.queries.from(row: segment.row), out = activations.attended.from(row: segment.row)
        var arguments = phi_attention_args(
            q: queries.start, q_stride: queries.stride, keys: cache.keys(layer), values: cache.values(layer),
            key_stride: cache.keyStride, value_stride: cache.valueStride, key_scales: cache.keyScales(layer),
            value_scales: cache.valueScales(layer), scale_stride: cache.scaleStride, head_size: config.headSize,
            value_size: cache.valueSize, heads: config.heads, kv_heads: config.kvHeads, first: segment.position,
            tokens: segment.tokens.count, scale: 1 / Float(config.headSize).squareRoot(), out: out.start,
            out_stride: out.stride)
        commands.record(
            kernels.table.attention(cache.encoding), items: phi_attention_items(&arguments), arguments,
            concurrentWithPrevious: concurrentWithPrevious)
    }

    /// out[row] = products[2 row] + products[2 row + 1] + bias
    func addResidualProducts(_ products: Rows, _ bias: Vector, rows: Int, into out: Rows) {
        let command = AddResidualProducts(products: products, bias: bias.elements, out: out, count: bias.count)
        commands.record(AddResidualProducts.operation, items: rows * command.chunks, command)
    }

    private func quantisation(of x: Rows, for matrix: Matrix, rows: Int) -> phi_quantise_args {
        phi_quantise_args(
            x: UnsafePointer(x.start), x_stride: x.stride, width: matrix.width, tokens: rows,
            zero_point: matrix.encoding.zeroPoint, code_zero_point: matrix.encoding.codeZeroPoint,
            q: activations.quantised.start, scales: activations.scales.start,
            zero_corrections: activations.zeroCorrections.start,
            group_zero_corrections: activations.groupZeroCorrections.start)
    }

    private var geluArguments: phi_gelu_args {
        let (x, out) = (activations.intermediate, activations.activated)
        return phi_gelu_args(
            x: UnsafePointer(x.start), x_stride: x.stride, out: out.start, out_stride: out.stride,
            columns: config.intermediateSize)
    }

    /// Returns nil if the output projection is not quantised.
    private func geluAndQuantise(rows: Int, for outputProjection: Matrix) -> GELUAndQuantise? {
        guard outputProjection.encoding.isQuantised else { return nil }
        return GELUAndQuantise(
            gelu: geluArguments, quantisation: quantisation(of: activations.mixed, for: outputProjection, rows: rows),
            geluOperation: kernels.table.gelu, quantiseOperation: kernels.table.quantise,
            attendedColumns: config.querySize)
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
