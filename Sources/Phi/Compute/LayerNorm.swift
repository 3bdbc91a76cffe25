import CPhiKernels

/// Layer norm (Ba et al. 2016, arXiv 1607.06450) of rows: y = (x - mean) / sqrt(variance + epsilon) * weight + bias.
///
/// Sums have 16 lanes, element i in lane i mod 16, which are added as a binary tree.
struct LayerNorm: BitwiseCopyable {
    let x: UnsafePointer<Float>  // [rows][stride]
    let rows: UnsafePointer<Int32>?  // row of x for each row of y; the same row if nil
    let y: UnsafeMutablePointer<Float>  // [rows][stride]
    let stride: Int
    let count: Int
    let weight: UnsafePointer<Float>  // [count]
    let bias: UnsafePointer<Float>  // [count]
    let epsilon: Float

    /// Computes row `row`, and writes it to row `target` of y, by default the same.
    func normalise(_ row: Int, into target: Int? = nil) {
        let x = x + (rows.map { Int($0[row]) } ?? row) * stride
        let y = y + (target ?? row) * stride
        let whole = count / 16 * 16
        let n = Float(count)

        var sums = SIMD16<Float>.zero
        for i in Swift.stride(from: 0, to: whole, by: 16) { sums += Self.load(x + i) }
        for i in whole..<count { sums[i - whole] += x[i] }
        let mean = Self.sum(sums) / n

        var squares = SIMD16<Float>.zero
        for i in Swift.stride(from: 0, to: whole, by: 16) {
            let difference = Self.load(x + i) - mean
            squares += difference * difference
        }
        for i in whole..<count { squares[i - whole] += (x[i] - mean) * (x[i] - mean) }
        let scale = 1 / (Self.sum(squares) / n + epsilon).squareRoot()

        for i in Swift.stride(from: 0, to: whole, by: 16) {
            let normal = (Self.load(x + i) - mean) * scale
            UnsafeMutableRawPointer(y + i).storeBytes(
                of: normal * Self.load(weight + i) + Self.load(bias + i), as: SIMD16<Float>.self)
        }
        for i in whole..<count { y[i] = (x[i] - mean) * scale * weight[i] + bias[i] }
    }

    @inline(__always)
    private static func load(_ p: UnsafePointer<Float>) -> SIMD16<Float> {
        UnsafeRawPointer(p).loadUnaligned(as: SIMD16<Float>.self)
    }

    @inline(__always)
    private static func sum(_ lanes: SIMD16<Float>) -> Float {
        let eight = lanes.lowHalf + lanes.highHalf
        let four = eight.lowHalf + eight.highHalf
        let two = four.lowHalf + four.highHalf
        return two[0] + two[1]
    }
}
