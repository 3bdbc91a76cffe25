import CPhiKernels

/// GELU and the quantisation of its output while that is in the L1 or L2 cache. The output projection's inputs are
/// [attended | activated], quantised in chunks of columns; chunks with attended columns are quantised by a second
/// command, after attention.
struct GELUAndQuantise: BitwiseCopyable {
    let gelu: phi_gelu_args
    let quantisation: phi_quantise_args
    let geluOperation, quantiseOperation: phi_operation
    /// Number of columns that attention writes, before those of GELU.
    let attendedColumns: Int

    private static let chunk = Int(PHI_QUANTISE_CHUNK)
    var tiles: Int { (quantisation.tokens + Int(PHI_TOKEN_TILE) - 1) / Int(PHI_TOKEN_TILE) }
    /// Number of chunks per row.
    private var chunks: Int { (quantisation.width + Self.chunk - 1) / Self.chunk }
    /// Number of chunks per row with attended columns.
    var attendedChunks: Int { (attendedColumns + Self.chunk - 1) / Self.chunk }
    /// Number of items per tile: GELU's columns in the last attended chunk, then each chunk of GELU's columns only.
    var pieces: Int { chunks - attendedChunks + 1 }

    /// GELU, and the quantisation of all chunks without attended columns. An item is a piece of a tile of tokens.
    static let operation: phi_operation = { arguments, begin, end in
        guard let command = arguments?.assumingMemoryBound(to: GELUAndQuantise.self).pointee else { return }
        for item in begin..<end {
            let (tile, piece) = item.quotientAndRemainder(dividingBy: command.pieces)
            command.activate(tile, piece)
        }
    }

    /// The quantisation of the chunks with attended columns. An item is a chunk of a tile of tokens.
    static let quantiseAttended: phi_operation = { arguments, begin, end in
        guard let command = arguments?.assumingMemoryBound(to: GELUAndQuantise.self).pointee else { return }
        for item in begin..<end {
            let (tile, chunk) = item.quotientAndRemainder(dividingBy: command.attendedChunks)
            command.quantise(tile * command.chunks + chunk)
        }
    }

    private func activate(_ tile: Int, _ piece: Int) {
        let chunk = attendedChunks + piece - 1
        let first = max(chunk * Self.chunk, attendedColumns) - attendedColumns
        let end = min((chunk + 1) * Self.chunk - attendedColumns, gelu.columns)
        if first < end {
            let token = tile * Int(PHI_TOKEN_TILE)
            var part = gelu
            part.x += token * part.x_stride + first
            part.out += token * part.out_stride + first
            part.columns = end - first
            let tokens = min(quantisation.tokens - token, Int(PHI_TOKEN_TILE))
            geluOperation(&part, 0, phi_gelu_items(&part, tokens))
        }
        if piece > 0 { quantise(tile * chunks + chunk) }
    }

    private func quantise(_ item: Int) {
        withUnsafePointer(to: quantisation) { quantiseOperation($0, item, item + 1) }
    }
}
