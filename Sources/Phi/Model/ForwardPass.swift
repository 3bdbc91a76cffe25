import CPhiKernels
import PhiFormat
import PhiTokenizer

/// The forward pass of phi (Hugging Face `modeling_phi.py`), recorded as commands: rows of tokens of one or more
/// sequences go through all blocks, then through the head where logits are wanted. Nothing is computed before
/// ``CommandList/execute()``.
///
/// Attention and the MLP of a block share a layer norm, so its six matrices form two products: the input projection
/// `[q; k; v; fc1] x norm(residual)`, and `residual += [dense | fc2] x [attention(q, k, v); GELU(fc1)]`.
package struct ForwardPass {
    /// Consecutive tokens of one sequence, in rows `row...` of the batch.
    package struct Segment {
        package let cache: KVCache
        package let tokens: ArraySlice<TokenID>
        /// Position of the first token in its sequence.
        package let position: Int
        package let row: Int

        package init(cache: KVCache, tokens: ArraySlice<TokenID>, position: Int, row: Int) {
            self.cache = cache
            self.tokens = tokens
            self.position = position
            self.row = row
        }
    }

    package let config: ModelConfig
    let kernels: Kernels
    /// The mapping whose pages are released to the system after each use; nil to keep them for the next pass.
    let released: MappedFile?
    let rotary: RotaryEmbedding
    package let activations: Activations
    package let commands: CommandList

    /// Creates a pass and its buffers for sequences of up to `positions` tokens and batches of up to `segments`.
    package init(
        _ config: ModelConfig, kernels: Kernels, positions: Int, segments: Int, threads: Int, released: MappedFile?
    ) throws(SessionError) {
        self.config = config
        self.kernels = kernels
        self.released = released
        rotary = try RotaryEmbedding(
            dimensions: config.rotaryDimensions, base: config.rotaryBase, positions: positions)
        activations = try Activations(config)
        let perBlock = 5 + 2 * segments  // norm, 2 products, GELU, quantisation; append and attention per segment
        commands = try CommandList(threads: threads, capacity: 1 + config.layers * perBlock + 3)
    }

    /// Records the pass of a batch of `rows` tokens, at most ``Activations/batchTokens``, and the logits of its rows
    /// `logitsRows`, at most ``Activations/logitsRows``, into rows `firstLogits`... of the logits.
    func record(
        _ segments: [Segment], rows: Int, logitsRows: some Collection<Int>, firstLogits: Int = 0,
        through weights: Weights
    ) {
        precondition(commands.isEmpty, "one pass is recorded at a time: passes share their buffers")
        embed(segments, rows: rows, weights.embedding)  // residual: [rows, hidden]
        for (layer, block) in weights.blocks.enumerated() {
            recordAttentionAndMLP(block, layer, segments, rows: rows)  // mixed: [rows, query + intermediate]
            recordOutputProjection(block, rows: rows)  // residual: [rows, hidden]
        }
        if !logitsRows.isEmpty { head(of: logitsRows, into: firstLogits, weights) }  // [logits rows, vocabulary]
    }

    /// Records only the logits of `rows` of the last batch, into rows 0... of the logits.
    func recordLogits(of rows: Range<Int>, through weights: Weights) {
        precondition(commands.isEmpty, "one pass is recorded at a time: passes share their buffers")
        head(of: rows, into: 0, weights)
    }

    /// Records the first part of a block, from the residual stream to the inputs of its output projection.
    ///
    /// A product with a quantised matrix reads the rows that were quantised last; `quantisedFor` names the matrix whose
    /// inputs they are.
    package func recordAttentionAndMLP(_ block: Weights.Block, _ layer: Int, _ segments: [Segment], rows: Int) {
        // normed: [rows, hidden]
        normalise(block.norm, rows: rows, quantisedFor: block.inputProjection)
        // projected: [rows, query + 2 key + intermediate]
        multiply(
            activations.normed, by: block.inputProjection, block.inputProjectionBias, rows: rows,
            into: activations.projected)
        // activated, the right part of mixed: [rows, intermediate]
        gelu(rows: rows, quantisedFor: block.outputProjection)
        // rotated keys and values in the KV cache, concurrently with GELU: [tokens, key]
        for segment in segments { appendToKVCache(layer, segment) }
        // attended, the left part of mixed: [tokens, query]
        for (number, segment) in segments.enumerated() {
            attend(layer, segment, concurrentWithPrevious: number > 0)
        }
    }

    /// Records the second part of a block: its output projection, added to the residual stream.
    package func recordOutputProjection(_ block: Weights.Block, rows: Int) {
        quantiseAttended(rows: rows, for: block.outputProjection)
        recordOutputProduct(block, rows: rows)
    }

    /// The same for inputs that have been quantised, if the output projection is.
    package func recordOutputProduct(_ block: Weights.Block, rows: Int) {
        multiply(
            activations.mixed, by: block.outputProjection, block.outputProjectionBias, rows: rows,
            into: activations.residual, accumulate: true)  // residual: [rows, hidden]
    }

    private func head(of rows: some Collection<Int>, into first: Int, _ weights: Weights) {
        let logits = Rows(start: activations.logits.start, stride: activations.logitsStride).from(row: first)
        for (number, row) in rows.enumerated() { activations.logitsRowNumbers.start[number] = Int32(row) }
        guard weights.head.encoding.isQuantised else {
            normalise(weights.norm, rows: rows.count, selected: true, quantisedFor: weights.head)
            multiply(activations.normed, by: weights.head, weights.headBias, rows: rows.count, into: logits)
            return
        }
        // Quantisation errors of the head's inputs reach the logits directly, and a second row hardly adds to the cost
        // of reading the head: so each row's quantisation residual is multiplied too.
        normalise(
            weights.norm, rows: 2 * rows.count, selected: true, withResiduals: true, quantisedFor: weights.head)
        let products = Rows(start: activations.headProducts.start, stride: activations.logitsStride)
        let noBias = Vector(count: weights.headBias.count, elements: UnsafePointer(activations.zeroBias.start))
        multiply(activations.normed, by: weights.head, noBias, rows: 2 * rows.count, into: products)
        addResidualProducts(products, weights.headBias, rows: rows.count, into: logits)
    }
}
