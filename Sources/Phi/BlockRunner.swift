import CPhiKernels
import PhiFormat
import PhiTokenizer

/// Takes texts through a model one block at a time, with weights that the caller brings when it has them, and shows what
/// goes into each matrix: for a conversion that looks at a matrix's inputs before it encodes the matrix.
///
/// First ``embed(_:_:)``, then for every block in turn: ``setNorm(weight:bias:)``, ``append(_:to:)`` with ``setBias(_:of:)`` for the
/// inner matrix, ``inputs(of:_:)`` of the outer one, the same for the outer matrix, and ``finish(_:)`` after the outer inputs of a batch.
/// Inputs are there until the next call.
package final class BlockRunner {
    /// A block's matrices.
    package enum Half: Int {
        /// Queries, keys, values and the MLP's inner layer.
        case inner
        /// Attention's output projection and the MLP's outer layer.
        case outer
    }

    private let config: ModelConfig
    /// All texts, in the order of their rows.
    package let batches: [Batch]
    private let pass: ForwardPass
    private let cache: KVCache
    private let residual: Buffer<Float>  // [tokens of all texts][hidden stride]
    private let normWeight, normBias: Buffer<Float>  // [hidden]
    private let matrices: [LoadedMatrix]

    /// A runner for texts of up to the model's context, with block matrices in `encoding`.
    /// Throws ``SessionError`` when the memory is not there.
    package init(
        _ config: ModelConfig, _ texts: [[TokenID]], encoding: TensorEncoding, cache cacheEncoding: CacheEncoding,
        kernels: Kernels, threads: Int
    ) throws(SessionError) {
        let longest = texts.map(\.count).max() ?? 0
        self.config = config
        var batches: [Batch] = [], first = 0
        for text in texts {
            for position in stride(from: 0, to: text.count, by: Activations.batchTokens) {
                let tokens = text[position..<min(position + Activations.batchTokens, text.count)]
                batches.append(Batch(tokens: tokens, first: first, position: position))
                first += tokens.count
            }
        }
        self.batches = batches
        tokenCount = first
        pass = try ForwardPass(
            config, kernels: kernels, positions: max(1, longest), segments: 1, threads: threads, released: nil)
        cache = try KVCache(config, layers: 1, capacity: max(1, longest), encoding: cacheEncoding)
        residual = try Buffer(first * pass.activations.residual.stride)
        normWeight = try Buffer(config.hiddenSize)
        normBias = try Buffer(config.hiddenSize)
        matrices = [
            try LoadedMatrix(encoding, rows: config.inputProjectionRows, columns: config.hiddenSize),
            try LoadedMatrix(encoding, rows: config.hiddenSize, columns: config.outputProjectionColumns),
        ]
    }

    /// Tokens of all texts.
    package let tokenCount: Int

    /// Starts the residual stream where a text has one of `tokens`: `row` writes the embedding of a token, [hidden].
    package func embed<Failure: Error>(
        _ tokens: Range<TokenID>, _ row: (TokenID, UnsafeMutableBufferPointer<Float>) throws(Failure) -> Void
    ) throws(Failure) {
        for batch in batches {
            for (number, token) in batch.tokens.enumerated() where tokens.contains(token) {
                let start = residual.start + (batch.first + number) * pass.activations.residual.stride
                try row(token, UnsafeMutableBufferPointer(start: start, count: config.hiddenSize))
            }
        }
    }

    /// Takes the next block's layer norm.
    package func setNorm(weight: [Float], bias: [Float]) {
        normWeight.start.update(from: weight, count: config.hiddenSize)
        normBias.start.update(from: bias, count: config.hiddenSize)
        for matrix in matrices { matrix.byteCount = 0 }
    }

    /// Takes more of a matrix's tiles.
    package func append(_ tiles: UnsafeRawBufferPointer, to half: Half) { matrices[half.rawValue].append(tiles) }

    /// Takes a matrix's bias.
    package func setBias(_ bias: [Float], of half: Half) {
        let matrix = matrices[half.rawValue]
        matrix.bias.start.update(from: bias, count: matrix.rows)
    }

    /// Neighbouring tokens of one text, which go through together.
    package struct Batch: Sendable {
        let tokens: ArraySlice<TokenID>
        /// Its row of the residual stream, and its first token's place in the text.
        let first, position: Int
    }

    /// Rows that go into a matrix: `count` of them, `stride` floats apart.
    package struct Inputs {
        package let start: UnsafePointer<Float>
        package let stride, count: Int
    }

    /// What goes into a matrix; of an outer one, batches are asked for in order, as a text's keys and values are remembered.
    package func inputs(of half: Half, _ batch: Batch) -> Inputs {
        let (x, y) = (pass.activations.residual, pass.activations.normed), rows = batch.tokens.count
        x.start.update(from: residual.start + batch.first * x.stride, count: rows * x.stride)
        switch half {
        case .inner:
            let norm = LayerNorm(
                x: UnsafePointer(x.start), rows: nil, y: y.start, stride: x.stride,
                count: config.hiddenSize, weight: normWeight.start, bias: normBias.start,
                epsilon: config.layerNormEpsilon)
            for row in 0..<rows { norm.normalise(row) }
            return Inputs(start: y.start, stride: y.stride, count: rows)
        case .outer:
            let segment = ForwardPass.Segment(cache: cache, tokens: batch.tokens, position: batch.position, row: 0)
            pass.recordAttentionAndMLP(block, 0, [segment], rows: rows)
            pass.commands.execute()
            return Inputs(start: pass.activations.mixed.start, stride: pass.activations.mixed.stride, count: rows)
        }
    }

    /// Takes the batch, whose inputs of the outer matrix were asked for last, through that matrix: its residual stream is what the next
    /// block takes in.
    package func finish(_ batch: Batch) {
        pass.recordOutputProjection(block, rows: batch.tokens.count)
        pass.commands.execute()
        let stride = pass.activations.residual.stride
        (residual.start + batch.first * stride).update(
            from: pass.activations.residual.start, count: batch.tokens.count * stride)
    }

    private var block: Weights.Block {
        Weights.Block(
            norm: Weights.Norm(
                weight: Vector(count: config.hiddenSize, elements: normWeight.start),
                bias: Vector(count: config.hiddenSize, elements: normBias.start)),
            inputProjection: matrices[0].matrix, inputProjectionBias: matrices[0].vector,
            outputProjection: matrices[1].matrix,
            outputProjectionBias: matrices[1].vector)
    }
}

/// A matrix in memory and its bias.
private final class LoadedMatrix {
    let encoding: TensorEncoding
    let rows, columns: Int
    let bias: Buffer<Float>
    private let tiles: Buffer<UInt8>
    /// Bytes that are there.
    var byteCount = 0

    init(_ encoding: TensorEncoding, rows: Int, columns: Int) throws(SessionError) {
        self.encoding = encoding
        self.rows = rows
        self.columns = columns
        bias = try Buffer(rows)
        tiles = try Buffer(encoding.byteCount(rows: rows, columns: columns) ?? 0)
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(byteCount + bytes.count <= tiles.count)
        UnsafeMutableRawBufferPointer(start: tiles.start + byteCount, count: bytes.count).copyMemory(from: bytes)
        byteCount += bytes.count
    }

    var matrix: Matrix {
        Matrix(encoding: encoding, rows: rows, columns: columns, tiles: UnsafeRawPointer(tiles.start))
    }
    var vector: Vector { Vector(count: rows, elements: bias.start) }
}
