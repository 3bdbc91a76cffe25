import CPhiKernels
import Phi
import PhiFormat

/// Products of matrices of floats, by the kernels for f32 or q8 weights: the same bits on any machine and any number of threads.
struct FloatProduct {
    let kernels: Kernels
    let threads: Int32

    /// Rows of a left matrix, `stride` floats apart. Elements beyond a row's end, up to a multiple of 64, are read and must be
    /// finite.
    struct Rows {
        let start: UnsafePointer<Float>
        let stride, count: Int
    }

    /// Memory for a product: rows are `stride` floats apart, and each is written up to a multiple of 16.
    struct Output {
        let start: UnsafeMutablePointer<Float>
        let stride: Int
    }

    /// out[i][j] = sum over k of x[i][k] * matrix[j][k], or += if `accumulate`. The matrix, [rows][columns], is given as tiles,
    /// which may be some of a larger matrix.
    func run(
        _ x: Rows, by tiles: UnsafeRawPointer?, rows: Int, columns: Int, into out: Output, accumulate: Bool = false
    ) {
        let zeros = FloatBuffer(rows)
        var arguments = phi_matmul_args(
            weights: tiles, bias: zeros.base, rows: rows, width: (columns + 63) / 64 * 64, tokens: x.count, x: x.start,
            x_stride: x.stride, q: nil, scales: nil, zero_corrections: nil, group_zero_corrections: nil, out: out.start,
            out_stride: out.stride, accumulate: accumulate, tile_bytes: 0)
        let items = phi_matmul_items(&arguments, TensorEncoding.f32.rawValue)
        phi_parallel(threads, items, kernels.table.matmul_f32, &arguments)
    }

    /// The same with tiles in q8, for which rows are quantised: they are zero beyond their columns up to a multiple of 64.
    func run(quantising x: Rows, by tiles: UnsafeRawPointer?, rows: Int, columns: Int, into out: Output) {
        let zeros = FloatBuffer(rows), width = (columns + 63) / 64 * 64
        let blocks = (width + TensorEncoding.blockColumns - 1) / TensorEncoding.blockColumns
        let codes = FloatBuffer(x.count * width / 4), scales = FloatBuffer(x.count * blocks)
        let corrections = FloatBuffer(x.count * blocks)
        let groupCorrections = FloatBuffer(Int(PHI_GEMV_TOKENS) * width / Int(PHI_GROUP))
        var quantise = phi_quantise_args(
            x: x.start, x_stride: x.stride, width: width, tokens: x.count, zero_point: TensorEncoding.q8.zeroPoint,
            code_zero_point: 0, q: codes.bound(to: Int8.self), scales: scales.base,
            zero_corrections: corrections.bound(to: Int32.self),
            group_zero_corrections: groupCorrections.bound(to: UInt32.self))
        phi_parallel(threads, phi_quantise_items(&quantise), kernels.table.quantise, &quantise)
        var arguments = phi_matmul_args(
            weights: tiles, bias: zeros.base, rows: rows, width: width, tokens: x.count, x: nil, x_stride: 0,
            q: quantise.q, scales: quantise.scales, zero_corrections: quantise.zero_corrections,
            group_zero_corrections: quantise.group_zero_corrections, out: out.start, out_stride: out.stride,
            accumulate: false, tile_bytes: 0)
        let items = phi_matmul_items(&arguments, TensorEncoding.q8.rawValue)
        withExtendedLifetime((zeros, codes, scales, corrections, groupCorrections)) {
            phi_parallel(threads, items, kernels.table.matmul_q8, &arguments)
        }
    }

    /// The same with a matrix that is not in tiles.
    func run(_ x: Rows, by matrix: FloatBuffer, rows: Int, columns: Int, into out: Output) {
        let encoder = TileEncoder(.f32, kernels, threads, rows: rows, columns: columns)
        _ = encoder.encode(matrix, rows: rows)
        encoder.withTiles { run(x, by: $0.baseAddress, rows: rows, columns: columns, into: out) }
    }
}
