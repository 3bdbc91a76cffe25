import CPhiKernels
import PhiFormat
import PhiTokenizer

/// Takes texts through a model one block at a time, with weights that the caller brings when it has them, and shows what
/// goes into each matrix: for a conversion that looks at a matrix's inputs before it encodes the matrix.
///
/// First ``embed(_:_:)``, then for every block in turn: ``setNorm(weight:bias:)``, ``inputs(of:_:)`` and ``append(_:to:)`` with ``setBias(_:of:)`` for the
/// inner matrix, the same for the outer one, ``finishBlock(while:)``.
package final class BlockRunner {
    /// A block's matrices.
    package enum Half: Int {
        /// Queries, keys, values and the MLP's inner layer.
        case inner
        /// Attention's output projection and the MLP's outer layer.
        case outer
    }

    private let config: ModelConfig
    private let texts: [[TokenID]]
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
        self.texts = texts
        pass = ForwardPass(
            config: config, kernels: kernels, released: nil,
            rotary: try RotaryEmbedding(
                dimensions: config.rotaryDimensions, base: config.rotaryBase, positions: max(1, longest)),
            buffers: try Activations(config), program: try Program(threads: threads, capacity: 16))
        cache = try KVCache(config, layers: 1, capacity: max(1, longest), encoding: cacheEncoding)
        residual = try Buffer(texts.reduce(0) { $0 + $1.count } * pass.buffers.hiddenStride)
        normWeight = try Buffer(config.hiddenSize)
        normBias = try Buffer(config.hiddenSize)
        matrices = [
            try LoadedMatrix(encoding, rows: config.blockInSize, columns: config.hiddenSize),
            try LoadedMatrix(encoding, rows: config.hiddenSize, columns: config.blockOutSize),
        ]
    }

    /// Tokens of all texts.
    package var tokenCount: Int { texts.reduce(0) { $0 + $1.count } }

    /// Starts the residual stream where a text has one of `tokens`: `row` writes the embedding of a token, [hidden].
    package func embed(_ tokens: Range<TokenID>, _ row: (TokenID, UnsafeMutableBufferPointer<Float>) -> Void) {
        for (number, token) in texts.joined().enumerated() where tokens.contains(token) {
            let start = residual.start + number * pass.buffers.hiddenStride
            row(token, UnsafeMutableBufferPointer(start: start, count: config.hiddenSize))
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

    /// Shows all inputs of a matrix, some rows at a time: `body` gets the first row, the floats from one row to the next, and the
    /// number of rows.
    package func inputs<Failure: Error>(
        of half: Half, _ body: (UnsafePointer<Float>, Int, Int) throws(Failure) -> Void
    ) throws(Failure) {
        let buffers = pass.buffers
        switch half {
        case .inner:
            try forEachBatch { (part: ForwardPass.Part, _: Int) throws(Failure) in
                let norm = LayerNorm(
                    x: buffers.residual.start, rows: nil, y: buffers.normed.start, stride: buffers.hiddenStride,
                    count: config.hiddenSize, weight: normWeight.start, bias: normBias.start,
                    epsilon: config.layerNormEpsilon)
                for row in 0..<part.tokens.count { norm.normalise(row) }
                try body(buffers.normed.start, buffers.hiddenStride, part.tokens.count)
            }
        case .outer:
            let block = self.block
            try forEachBatch { (part: ForwardPass.Part, _: Int) throws(Failure) in
                pass.first(block, 0, [part], rows: part.tokens.count)
                pass.program.run()
                try body(buffers.outer.start, buffers.outerStride, part.tokens.count)
            }
        }
    }

    /// Runs the block, so that the residual stream is what the next one takes in; `goOn` throws to stop.
    package func finishBlock<Failure: Error>(while goOn: () throws(Failure) -> Void) throws(Failure) {
        let block = self.block
        try forEachBatch { (part: ForwardPass.Part, first: Int) throws(Failure) in
            try goOn()
            pass.first(block, 0, [part], rows: part.tokens.count)
            pass.second(block, rows: part.tokens.count)
            pass.program.run()
            let stride = pass.buffers.hiddenStride
            (residual.start + first * stride).update(
                from: pass.buffers.residual.start, count: part.tokens.count * stride)
        }
    }

    /// Runs `body` for neighbouring tokens of one text after the other, with their rows of the residual stream in the
    /// buffer; the second argument is the first of them.
    private func forEachBatch<Failure: Error>(
        _ body: (ForwardPass.Part, Int) throws(Failure) -> Void
    ) throws(Failure) {
        let stride = pass.buffers.hiddenStride
        var first = 0
        for text in texts {
            cache.count = 0
            var rest = text[...]
            while !rest.isEmpty {
                let part = ForwardPass.Part(cache: cache, tokens: rest.prefix(Activations.batch), row: 0)
                pass.buffers.residual.start.update(
                    from: residual.start + first * stride, count: part.tokens.count * stride)
                try body(part, first)
                cache.count += part.tokens.count
                first += part.tokens.count
                rest = rest.dropFirst(part.tokens.count)
            }
        }
    }

    private var block: Weights.Block {
        Weights.Block(
            norm: Weights.Norm(
                weight: Vector(count: config.hiddenSize, elements: normWeight.start),
                bias: Vector(count: config.hiddenSize, elements: normBias.start)),
            inner: matrices[0].matrix, innerBias: matrices[0].vector, outer: matrices[1].matrix,
            outerBias: matrices[1].vector)
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
