import CPhiKernels

/// A layer norm and the quantisation of its output while that is in the L1 or L2 cache. An item is a tile of tokens.
struct NormAndQuantise: BitwiseCopyable {
    let norm: LayerNorm
    /// Whether each row is followed by its quantisation residual.
    let withResiduals: Bool
    let rows: Int
    /// Nil if the output stays f32.
    let quantise: phi_operation?
    let quantisation: phi_quantise_args
    let itemsPerTile: Int

    static let operation: phi_operation = { arguments, begin, end in
        guard let command = arguments?.assumingMemoryBound(to: NormAndQuantise.self) else { return }
        let tile = Int(PHI_TOKEN_TILE)
        let rows = begin * tile..<min(end * tile, command.pointee.rows)
        if command.pointee.withResiduals {
            command.pointee.normaliseWithResiduals(rows)
        } else {
            rows.forEach { command.pointee.norm.normalise($0) }
        }
        guard let quantise = command.pointee.quantise else { return }
        withUnsafePointer(to: command.pointee.quantisation) {
            quantise($0, begin * command.pointee.itemsPerTile, end * command.pointee.itemsPerTile)
        }
    }

    private func normaliseWithResiduals(_ rows: Range<Int>) {
        for row in stride(from: rows.lowerBound, to: rows.upperBound, by: 2) {
            norm.normalise(row / 2, into: row)
            let y = norm.y + row * norm.stride
            phi_quantisation_residual(y, quantisation.width, y + norm.stride)
        }
    }
}
