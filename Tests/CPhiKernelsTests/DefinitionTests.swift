import CPhiKernelCases
import CPhiKernels
import Foundation
import Testing

/// The reference against the formulas of CPhiKernels.h in double precision, on the cases that hold the other instruction sets
/// to the reference.
struct DefinitionTests {
    /// The cases of the operations whose names begin with `operation` and a line.
    private static func cases(_ operation: String) -> [KernelCase] {
        KernelCase.checked.filter { $0.name == operation || $0.name.hasPrefix(operation + "_") }
    }

    @Test(arguments: cases("attention"))
    func attention(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_attention_args.self)
        // NaN has no definition.
        if UnsafeBufferPointer(start: a.q, count: (a.tokens - 1) * a.q_stride + a.heads * a.head_size).contains(
            where: \.isNaN)
        {
            return
        }
        run.execute()
        let keys = try run.buffer("k", Float.self), values = try run.buffer("v", Float.self)
        func at(_ position: Int, _ kv: Int, _ d: Int) -> Int { (position * a.kv_heads + kv) * a.head_size + d }
        var error = Error()
        for t in 0..<a.tokens {
            for head in 0..<a.heads {
                let kv = head / (a.heads / a.kv_heads)
                let scores = (0...a.first + t).map { j in
                    (0..<a.head_size).reduce(0.0) { sum, d in
                        sum + Double(a.q[t * a.q_stride + head * a.head_size + d]) * Double(keys[at(j, kv, d)])
                    } * Double(a.scale)
                }
                let most = scores.max() ?? 0
                let weights = scores.map { exp($0 - most) }
                let total = weights.reduce(0, +)
                for d in 0..<a.head_size {
                    let sum = weights.enumerated().reduce(0.0) {
                        $0 + $1.element * Double(values[at($1.offset, kv, d)])
                    }
                    error.add(a.out[t * a.out_stride + head * a.head_size + d], sum / total)
                }
            }
        }
        // The softmax of a few large scores magnifies what 8 bits lose of them.
        let limits = ["attention_f32": 1e-11, "attention_f16": 1e-5, "attention_q8": 5e-2]
        #expect(error.share < limits[item.name] ?? 0, "\(error.share)")
    }

    @Test(arguments: cases("matmul"))
    func matmul(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_matmul_args.self)
        let before = Array(UnsafeBufferPointer(start: a.out, count: (a.tokens - 1) * a.out_stride + a.rows))
        run.execute()
        let number = try encoding(item).number
        var error = Error(), weights = [Float](repeating: 0, count: a.width)
        for row in 0..<a.rows {
            phi_row(a.weights, number, row, a.width, &weights)
            for t in 0..<a.tokens {
                var sum = Double(a.bias[row])
                for k in 0..<a.width { sum += Double(weights[k]) * Double(a.x[t * a.x_stride + k]) }
                let place = t * a.out_stride + row
                error.add(a.out[place], a.accumulate ? Double(before[place]) + sum : sum)
            }
        }
        // Of integer products, only the rounding of activations is an error.
        let isInteger = try encoding(item).zero_point != 0
        #expect(error.share < (isInteger ? 1e-2 : 1e-11), "\(error.share)")
    }

    @Test(arguments: cases("encode").filter { $0.shape.feedback_block == 0 })
    func encode(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_encode_args.self)
        run.execute()
        var error = Error(), values = [Float](repeating: .nan, count: a.columns)
        // Rows 2 and 3 have weights beyond what 16 bits hold.
        for row in 0..<a.row_count where row != 2 && row != 3 {
            phi_row(a.out, try encoding(item).number, row, a.columns, &values)
            for (k, value) in values.enumerated() { error.add(value, Double(a.rows[row * a.columns + k])) }
        }
        let limits = ["encode_f32": 0, "encode_f16": 1e-6, "encode_q8": 1e-3, "encode_q4": 2e-2, "encode_q3": 3e-2]
        #expect(error.share <= limits[item.name] ?? 0, "\(error.share)")
    }

    @Test(arguments: cases("gelu"))
    func gelu(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_gelu_args.self)
        run.execute()
        for t in 0..<item.shape.tokens {
            for c in 0..<a.columns where abs(a.x[t * a.x_stride + c]) < 50 {
                let v = Double(a.x[t * a.x_stride + c])
                let truth = v / (1 + exp(-2 * 0.7978845608028654 * (v + 0.044715 * v * v * v)))
                #expect(abs(Double(a.out[t * a.out_stride + c]) - truth) <= 3e-7 * max(1, abs(truth)))
            }
        }
    }

    /// Activations are the sum of what their integers stand for and the quantisation residual, bit by bit.
    @Test(arguments: cases("quantise").filter { $0.name == "quantise" && $0.shape.tokens == 1 })
    func quantise(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_quantise_args.self)
        run.execute()
        var residual = [Float](repeating: .nan, count: a.width)
        phi_quantisation_residual(a.x, a.width, &residual)
        for k in 0..<a.width { #expect(residual[k] == a.x[k] - a.scales[k / 256] * Float(a.q[k]), "\(k)") }
    }

    /// Each sum over tokens, of the integers' values in double precision.
    @Test(arguments: cases("gram"))
    func gram(item: KernelCase) throws {
        let run = ReferenceRun(item), a = try run.arguments(phi_gram_args.self)
        let before = Array(UnsafeBufferPointer(start: a.sums, count: a.columns * a.block))
        run.execute()
        let columns = (a.columns + 15) / 16 * 16, tokens = Int(PHI_GRAM_TOKENS)
        func value(_ q: UnsafePointer<Int8>, _ scales: UnsafePointer<Float>, _ run: Int, _ c: Int, _ t: Int) -> Double {
            let place = (run * columns + c / 16 * 16) * tokens + t / 4 * 64 + c % 16 * 4 + t % 4
            return Double(q[place]) * Double(scales[run * columns + c])
        }
        for i in stride(from: 0, to: a.columns, by: 7) {
            for j in stride(from: a.upper ? i : i / a.block * a.block, to: a.columns, by: 5)
            where j / a.block == i / a.block {
                var sum = Double(before[i * a.block + j % a.block]), size = abs(sum)
                for run in 0..<a.runs {
                    for t in 0..<tokens {
                        let product =
                            value(a.left, a.left_scales, run, i, t) * value(a.right, a.right_scales, run, j, t)
                        (sum, size) = (sum + product, size + abs(product))
                    }
                }
                #expect(abs(Double(a.sums[i * a.block + j % a.block]) - sum) <= 1e-6 * size, "\(i) \(j)")
            }
        }
    }

    private func encoding(_ item: KernelCase) throws -> phi_encoding {
        let encodings = (0..<phi_encoding_count()).compactMap { phi_encoding_at($0)?.pointee }
        return try #require(encodings.first { item.name.hasSuffix("_" + String(cString: $0.name)) })
    }
}

/// The mean square of an error beside that of the truth.
private struct Error {
    private var error = 0.0
    private var power = 0.0

    mutating func add(_ found: Float, _ truth: Double) {
        error += (Double(found) - truth) * (Double(found) - truth)
        power += truth * truth
    }

    var share: Double { power > 0 ? error / power : error }
}

/// A case on the reference.
private final class ReferenceRun {
    private var item = phi_case()
    private let operation: Int

    init(_ item: KernelCase) {
        operation = item.operation
        var shape = item.shape
        phi_case_prepare(&self.item, operation, &shape, 1, GUARDED_BEFORE, 0)
    }

    deinit { phi_case_release(&item) }

    func execute() {
        phi_operation_at(phi_instruction_set(phi_instruction_set_count() - 1), operation)?(
            item.arguments, 0, item.items)
    }

    func arguments<Arguments>(_ type: Arguments.Type) throws -> Arguments {
        try #require(item.arguments).assumingMemoryBound(to: Arguments.self).pointee
    }

    func buffer<Element>(_ name: String, _ type: Element.Type) throws -> UnsafePointer<Element> {
        UnsafePointer(try #require(phi_case_buffer(&item, name)).assumingMemoryBound(to: Element.self))
    }
}
