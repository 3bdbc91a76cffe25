import CPhiKernels

/// An encoding of weights, as `encodings.inc` lists it.
package struct WeightEncoding: Sendable, CustomStringConvertible {
    /// Its line in the list.
    package let listed: phi_encoding

    /// All encodings, in the list's order.
    package static let all = (0..<phi_encoding_count()).compactMap { index in
        phi_encoding_at(index).map { WeightEncoding(listed: $0.pointee) }
    }
    /// The encodings whose weights are integers.
    package static let quantised = all.filter(\.isQuantised)

    package var description: String { String(cString: listed.name) }
    /// The kernels' name for it.
    package var number: UInt32 { listed.number }
    /// Whether weights are integers.
    package var isQuantised: Bool { listed.block_scale_bytes > 0 }

    /// Made-up weights in tiles, encoded by the reference. A large matrix is made of one tile again and again, which no
    /// kernel can tell.
    func tiles(rows: Int, columns: Int, _ random: inout SeededGenerator) -> Guarded<UInt8> {
        let count = roundUp(rows, 16) / 16
        let whole = rows * columns > 1 << 20
        let source = Guarded(random.weights((whole ? 16 : rows) * columns, scale: 0.02))
        let made = whole ? 1 : count
        let tileBytes = phi_tile_bytes(number, columns)
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
