import CPhiKernels

extension KernelCase {
    /// A matrix product: weights of `rows` x `columns` with `tokens` activations.
    package static func matmul(
        _ encoding: WeightEncoding, rows: Int, columns: Int, tokens: Int, accumulate: Bool = false
    ) -> KernelCase {
        let adds = accumulate ? ", added" : ""
        return KernelCase("matmul_\(encoding)", "\(rows) x \(columns)\(adds), \(tokens) tokens") { spread in
            var random = SeededGenerator(UInt64(tokens * 7919 + rows))
            let width = roundUp(columns, 64), outStride = roundUp(rows, 16) + 16
            let first = encoding.tiles(rows: rows, columns: columns, &random)
            let weights = [first] + (1..<copies(first.count, spread)).map { _ in Guarded(copying: first) }
            let x = paddedRows(tokens, columns, width, &random)
            let bias = Guarded(random.weights(rows))
            let activations = QuantisedActivations(x, width: width, tokens: tokens, encoding)
            let out = Guarded([Float](repeating: 0.25, count: tokens * outStride))
            var items = 0
            let arguments = weights.map { tiles in
                var arguments = phi_matmul_args(
                    weights: tiles.pointer, bias: bias.pointer, rows: rows, width: width, tokens: tokens, x: x.pointer,
                    x_stride: width, q: activations.q.pointer, scales: activations.scales.pointer,
                    zero_corrections: activations.zeroCorrections.pointer,
                    group_zero_corrections: activations.groupZeroCorrections.pointer, out: out.pointer,
                    out_stride: outStride, accumulate: accumulate, tile_bytes: 0)
                items = phi_matmul_items(&arguments, encoding.number)
                return arguments
            }
            let activationBytes = encoding.isQuantised ? tokens * (width + blocks(width) * 8) : tokens * width * 4
            return KernelRun(
                arguments, items: items, bytes: first.count + activationBytes + tokens * rows * 4,
                arithmetic: 2 * Double(rows) * Double(columns) * Double(tokens), outputs: [{ out.bytes }],
                keeping: weights + [x, bias, activations, out])
        }
    }
}

/// Activations as the operation `quantise` leaves them, by the reference.
private final class QuantisedActivations {
    let q: Guarded<Int8>
    let scales: Guarded<Float>
    let zeroCorrections: Guarded<Int32>
    let groupZeroCorrections: Guarded<Int32>

    init(_ x: Guarded<Float>, width: Int, tokens: Int, _ encoding: WeightEncoding) {
        q = Guarded(tokens * width)
        scales = Guarded(tokens * blocks(width))
        zeroCorrections = Guarded(tokens * blocks(width))
        groupZeroCorrections = Guarded(tokens == 1 ? width / 16 : 0)
        var arguments = phi_quantise_args(
            x: x.pointer, x_stride: width, width: width, tokens: tokens,
            zero_point: encoding.listed.zero_point, code_zero_point: encoding.listed.code_zero_point, q: q.pointer,
            scales: scales.pointer, zero_corrections: zeroCorrections.pointer,
            group_zero_corrections: groupZeroCorrections.pointer)
        let items = phi_quantise_items(&arguments)
        refer("quantise", &arguments, items: items)
    }
}

/// Blocks of 256 columns in a row, the last of which may be shorter.
func blocks(_ width: Int) -> Int { roundUp(width, Int(PHI_BLOCK_COLUMNS)) / Int(PHI_BLOCK_COLUMNS) }

/// Made-up activations with zeros from `columns` to `width`.
private func paddedRows(_ tokens: Int, _ columns: Int, _ width: Int, _ random: inout SeededGenerator) -> Guarded<Float>
{
    let rows = Guarded([Float](repeating: 0, count: tokens * width))
    for token in 0..<tokens {
        for (column, value) in random.weights(columns).enumerated() { rows.pointer[token * width + column] = value }
    }
    return rows
}
