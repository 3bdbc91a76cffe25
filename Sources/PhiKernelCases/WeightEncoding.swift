import CPhiKernels

/// A weight encoding as the kernels see it.
package enum WeightEncoding: String, CaseIterable, Sendable {
    case f32, f16, q8, q4

    /// Bytes of a strip of 16 rows by 64 columns: the kernels' name for the encoding.
    package var stripBytes: Int {
        switch self {
        case .f32: Int(PHI_STRIP_BYTES_F32)
        case .f16: Int(PHI_STRIP_BYTES_F16)
        case .q8: Int(PHI_STRIP_BYTES_Q8)
        case .q4: Int(PHI_STRIP_BYTES_Q4)
        }
    }

    /// What means zero among stored integers; 0 for floats.
    package var zero: Int32 {
        switch self {
        case .f32, .f16: 0
        case .q8: Int32(PHI_ZERO_Q8)
        case .q4: Int32(PHI_ZERO_Q4)
        }
    }

    /// Made-up weights in tiles, encoded by the reference. A large matrix is made of one tile again and again, which no
    /// kernel can tell.
    func tiles(rows: Int, columns: Int, _ random: inout SeededGenerator) -> Guarded<UInt8> {
        let count = roundUp(rows, 16) / 16
        let whole = rows * columns > 1 << 20
        let source = Guarded(random.weights((whole ? 16 : rows) * columns, scale: 0.02))
        let made = whole ? 1 : count
        let tileBytes = phi_tile_bytes(stripBytes, columns)
        let out = Guarded<UInt8>(count * tileBytes)
        let errors = Guarded<Double>(made), squares = Guarded<Double>(made)
        var arguments = phi_encode_args(
            rows: source.pointer, row_count: whole ? 16 : rows, columns: columns, out: out.pointer,
            errors: errors.pointer,
            squares: squares.pointer, feedback: nil, feedback_stride: 0, feedback_block: 0,
            importance: nil, differences: nil)
        refer("encode_\(self)", &arguments, items: made)
        for tile in made..<max(made, count) {
            (out.pointer + tile * tileBytes).update(from: out.pointer, count: tileBytes)
        }
        return out
    }
}
