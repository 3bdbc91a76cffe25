import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// Runs sequences through a model one block at a time, as the weights of each become known, and gives the inputs of each
/// matrix on the way. Holds the residual stream of all tokens between two blocks: tokens x hidden floats.
final class BlockRunner {
    /// Consecutive tokens of one sequence that pass together.
    struct Batch: Sendable {
        let number: Int
        let tokens: ArraySlice<TokenID>
        /// Row of the first token in the residual stream, and its position in the sequence.
        let row, position: Int

        /// Its rows in the residual stream.
        var rows: Range<Int> { row..<row + tokens.count }
    }

    /// The inputs of a matrix for a batch's tokens, valid until the runner's next call.
    struct Inputs {
        let rows: Rows  // [count][columns]
        let count: Int
    }

    /// All sequences, in the order of their rows. The batches of a sequence pass through a block in this order.
    let batches: [Batch]
    /// Tokens of all sequences.
    let tokenCount: Int
    private let config: ModelConfig
    private let pass: ForwardPass
    private let cache: KVCache  // of one block
    private let residual: Buffer<Float>  // [tokens][hidden stride]
    /// Positions of the current sequence that the KV cache has from the current block.
    private var cachedPositions = 0

    /// A runner of sequences of up to the model's context. Throws ``SessionError`` when there is not enough memory.
    init(
        _ config: ModelConfig, _ sequences: [[TokenID]], kernels: Kernels, threads: Int
    ) throws(SessionError) {
        let longest = sequences.map(\.count).max() ?? 0
        self.config = config
        var batches: [Batch] = [], row = 0
        for sequence in sequences {
            for position in stride(from: 0, to: sequence.count, by: Activations.batchTokens) {
                let tokens = sequence[position..<min(position + Activations.batchTokens, sequence.count)]
                batches.append(Batch(number: batches.count, tokens: tokens, row: row, position: position))
                row += tokens.count
            }
        }
        self.batches = batches
        tokenCount = row
        pass = try ForwardPass(
            config, kernels: kernels, positions: max(1, longest), segments: 1, threads: threads, released: nil)
        cache = try KVCache(config, layers: 1, capacity: max(1, longest), encoding: .f16)
        residual = try Buffer(row * pass.activations.residual.stride)
    }

    /// Sets the residual stream of all tokens that are among `tokens`: `row` writes the embedding of one, [hidden].
    func embed<Failure: Error>(
        _ tokens: Range<TokenID>, _ row: (TokenID, UnsafeMutableBufferPointer<Float>) throws(Failure) -> Void
    ) throws(Failure) {
        for batch in batches {
            for (number, token) in batch.tokens.enumerated() where tokens.contains(token) {
                let start = residual.start + (batch.row + number) * pass.activations.residual.stride
                try row(token, UnsafeMutableBufferPointer(start: start, count: config.hiddenSize))
            }
        }
    }

    /// Sets the residual stream of all tokens by the checkpoint's embedding.
    func embed(_ checkpoint: CheckpointModel) throws(FormatError) {
        try embed(0..<TokenID(config.vocabulary)) { token, out throws(FormatError) in
            try checkpoint.readFinite(.weight(.embedding), Int(token)..<Int(token) + 1, into: out)
        }
    }

    /// The inputs of an input projection or the head behind `norm`, [tokens, hidden].
    func normedInputs(of batch: Batch, _ norm: EncodedNorm) -> Inputs {
        load(batch)
        withExtendedLifetime(norm) { pass.normaliseNow(norm.weights, rows: batch.tokens.count) }
        return Inputs(rows: pass.activations.normed, count: batch.tokens.count)
    }

    /// The inputs of a block's output projection, [tokens, query + intermediate]: attention and GELU behind `norm` and
    /// `inputProjection`. `kept` keeps them as they are quantised for an output projection in `encoding`.
    func mixedInputs(
        of batch: Batch, _ norm: EncodedNorm, _ inputProjection: EncodedMatrix, for encoding: TensorEncoding,
        _ kept: KeptInputs
    ) -> Inputs {
        // No product follows: of the output projection the pass reads the encoding only.
        let following = Matrix(
            encoding: encoding, rows: config.hiddenSize, columns: config.outputProjectionColumns,
            tiles: inputProjection.matrix.tiles)
        let inputs = withExtendedLifetime((norm, inputProjection)) {
            attentionAndMLP(
                of: batch,
                Weights.Block(
                    norm: norm.weights, inputProjection: (inputProjection.matrix, bias: inputProjection.bias.vector),
                    outputProjection: (following, bias: inputProjection.bias.vector)))
        }
        pass.quantiseAttended(rows: batch.tokens.count, for: following)
        pass.commands.execute()
        kept.keep(batch.rows, batch: batch.number, of: pass.activations)
        return inputs
    }

    /// Runs a batch whose inputs of the output projection were kept through the rest of its block, so that its residual stream is
    /// the next block's.
    func advance(_ batch: Batch, from kept: KeptInputs, through block: EncodedBlock) {
        load(batch)
        kept.restore(batch.rows, batch: batch.number, to: pass.activations)
        withExtendedLifetime(block) {
            pass.recordOutputProduct(block.weights, rows: batch.tokens.count)
            pass.commands.execute()
        }
        store(batch)
    }

    /// Runs a batch through a block, so that its residual stream is the next block's; `observe` gets the inputs of the output
    /// projection on the way.
    func advance(_ batch: Batch, through block: EncodedBlock, observe: (Inputs) -> Void) {
        withExtendedLifetime(block) {
            let weights = block.weights
            observe(attentionAndMLP(of: batch, weights))
            pass.recordOutputProjection(weights, rows: batch.tokens.count)
            pass.commands.execute()
        }
        store(batch)
    }

    private func attentionAndMLP(of batch: Batch, _ block: Weights.Block) -> Inputs {
        precondition(batch.position == 0 || batch.position == cachedPositions, "batches of a sequence pass in order")
        load(batch)
        let segment = ForwardPass.Segment(cache: cache, tokens: batch.tokens, position: batch.position, row: 0)
        pass.recordAttentionAndMLP(block, 0, [segment], rows: batch.tokens.count)
        pass.commands.execute()
        cachedPositions = batch.position + batch.tokens.count
        return Inputs(rows: pass.activations.mixed, count: batch.tokens.count)
    }

    /// Takes the batch's residual stream from the pass.
    private func store(_ batch: Batch) {
        let x = pass.activations.residual
        (residual.start + batch.row * x.stride).update(from: x.start, count: batch.tokens.count * x.stride)
    }

    /// Puts the batch's residual stream into the pass.
    private func load(_ batch: Batch) {
        let x = pass.activations.residual
        x.start.update(from: residual.start + batch.row * x.stride, count: batch.tokens.count * x.stride)
    }
}
