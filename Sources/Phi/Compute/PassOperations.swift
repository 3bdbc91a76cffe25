import CPhiKernels

// Steps of a forward pass that are more than one kernel operation, or none: each is a kernel operation itself.

/// A layer norm and the quantisation of what it makes, as a kernel operation whose items are tiles of tokens.
struct Preparation: BitwiseCopyable {
    let norm: LayerNorm
    let inTwo: Bool
    let rows: Int
    let quantise: phi_operation?
    let quantisation: phi_quantise_args
    let itemsPerTile: Int

    static let operation: phi_operation = { arguments, begin, end in
        guard let p = arguments?.assumingMemoryBound(to: Preparation.self) else { return }
        let tile = Int(PHI_TOKEN_TILE)
        let rows = begin * tile..<min(end * tile, p.pointee.rows)
        if p.pointee.inTwo { p.pointee.normaliseInTwo(rows) } else { rows.forEach { p.pointee.norm.normalise($0) } }
        guard let quantise = p.pointee.quantise else { return }
        withUnsafePointer(to: p.pointee.quantisation) {
            quantise($0, begin * p.pointee.itemsPerTile, end * p.pointee.itemsPerTile)
        }
    }

    /// Makes pairs of rows.
    private func normaliseInTwo(_ rows: Range<Int>) {
        for row in stride(from: rows.lowerBound, to: rows.upperBound, by: 2) {
            norm.normalise(row / 2, into: row)
            let y = norm.y + row * norm.stride
            phi_quantised_rest(y, quantisation.width, y + norm.stride)
        }
    }
}

/// GELU, and the quantising of what it makes while that is in a near cache, as a kernel operation whose items are pieces of a tile of
/// tokens; and the quantising of what attention makes, which is before it in a row, as another.
struct Activation: BitwiseCopyable {
    let gelu: phi_gelu_args
    let quantisation: phi_quantise_args
    let geluOperation, quantiseOperation: phi_operation
    /// Columns of a row that attention makes.
    let before: Int

    private static let chunk = Int(PHI_QUANTISE_CHUNK)
    var tiles: Int { (quantisation.tokens + Int(PHI_TOKEN_TILE) - 1) / Int(PHI_TOKEN_TILE) }
    /// Chunks of a row that are quantised together, and how many of them attention has a part in.
    private var chunks: Int { (quantisation.width + Self.chunk - 1) / Self.chunk }
    var attended: Int { (before + Self.chunk - 1) / Self.chunk }
    /// A chunk is a piece; what GELU makes of one that attention has a part in is the first.
    var pieces: Int { chunks - attended + 1 }

    static let operation: phi_operation = { arguments, begin, end in
        guard let a = arguments?.assumingMemoryBound(to: Activation.self).pointee else { return }
        for item in begin..<end {
            let (tile, piece) = item.quotientAndRemainder(dividingBy: a.pieces)
            let number = a.attended + piece - 1
            let first = max(number * chunk, a.before) - a.before
            let end = min((number + 1) * chunk - a.before, a.gelu.columns)
            if first < end {
                let token = tile * Int(PHI_TOKEN_TILE)
                var part = a.gelu
                part.x += token * part.x_stride + first
                part.out += token * part.out_stride + first
                part.columns = end - first
                let tokens = min(a.quantisation.tokens - token, Int(PHI_TOKEN_TILE))
                a.geluOperation(&part, 0, phi_gelu_items(&part, tokens))
            }
            if piece > 0 { a.quantise(tile * a.chunks + number) }
        }
    }

    static let rest: phi_operation = { arguments, begin, end in
        guard let a = arguments?.assumingMemoryBound(to: Activation.self).pointee else { return }
        for item in begin..<end {
            let (tile, number) = item.quotientAndRemainder(dividingBy: a.attended)
            a.quantise(tile * a.chunks + number)
        }
    }

    private func quantise(_ item: Int) {
        withUnsafePointer(to: quantisation) { quantiseOperation($0, item, item + 1) }
    }
}

/// Adds the two products of each row and the bias, as a kernel operation whose items are parts of rows.
struct PairSum: BitwiseCopyable {
    let products: UnsafePointer<Float>  // [rows][2][stride]
    let bias: UnsafePointer<Float>  // [count]
    let out: UnsafeMutablePointer<Float>  // [rows][stride]
    let stride, count: Int

    private static let chunk = 4096
    /// Items of a row.
    var chunks: Int { (count + Self.chunk - 1) / Self.chunk }

    static let operation: phi_operation = { arguments, begin, end in
        guard let sum = arguments?.assumingMemoryBound(to: PairSum.self).pointee else { return }
        for item in begin..<end {
            let (row, part) = item.quotientAndRemainder(dividingBy: sum.chunks)
            let first = sum.products + 2 * row * sum.stride, rest = first + sum.stride
            let out = sum.out + row * sum.stride
            for i in part * chunk..<min((part + 1) * chunk, sum.count) { out[i] = first[i] + rest[i] + sum.bias[i] }
        }
    }
}

/// Rotary embedding of queries and keys and the storing of keys and values, as a kernel operation whose items are some kv heads of the
/// positions that share a tile of the cache: pieces of rows that are long enough to be fetched ahead, and few enough to stay near.
struct CacheStore: BitwiseCopyable {
    let rotary: Unmanaged<RotaryEmbedding>
    let queries: UnsafeMutablePointer<Float>  // [tokens][stride], heads side by side, keys behind them
    let queriesPerKey, kvHeads: Int
    let store: phi_operation
    let arguments: phi_store_args

    private static let headsTogether = 8
    private static let tile = 16
    private var runs: Int { (kvHeads + Self.headsTogether - 1) / Self.headsTogether }
    private var tiles: Range<Int> {
        arguments.first / Self.tile..<(arguments.first + arguments.tokens + Self.tile - 1) / Self.tile
    }
    var items: Int { tiles.count * runs }

    static let operation: phi_operation = { arguments, begin, end in
        guard let all = arguments?.assumingMemoryBound(to: CacheStore.self).pointee else { return }
        for item in begin..<end {
            let (number, run) = item.quotientAndRemainder(dividingBy: all.runs)
            let heads = run * headsTogether..<min((run + 1) * headsTogether, all.kvHeads)
            let position = (all.tiles.lowerBound + number) * tile
            let first = max(position, all.arguments.first)
            let tokens = first..<min(position + tile, all.arguments.first + all.arguments.tokens)
            all.keep(heads, of: tokens)
        }
    }

    /// Those of the tokens at `positions`, which share a tile.
    private func keep(_ heads: Range<Int>, of positions: Range<Int>) {
        let skipped = (positions.lowerBound - arguments.first) * arguments.stride
        var part = arguments
        part.k += skipped
        part.v += skipped
        part.first = positions.lowerBound
        part.tokens = positions.count
        let headSize = part.head_size
        rotary._withUnsafeGuaranteedRef { rotary in
            for (token, position) in positions.enumerated() {
                let row = skipped + token * part.stride
                rotary.rotate(
                    queries + row + heads.lowerBound * queriesPerKey * headSize, heads: heads.count * queriesPerKey,
                    headSize: headSize, position: position)
                rotary.rotate(
                    UnsafeMutablePointer(mutating: arguments.k) + row + heads.lowerBound * headSize,
                    heads: heads.count, headSize: headSize, position: position)
            }
        }
        store(&part, heads.lowerBound, heads.upperBound)
    }
}
