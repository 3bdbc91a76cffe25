import CPhiKernels
import Foundation
import PhiKernelCases
import Testing

/// The operations of one instruction set.
struct InstructionSet: CustomTestStringConvertible {
    let name: String
    let kernels: phi_kernels

    var testDescription: String { name }

    static let all: [InstructionSet] = (0..<phi_instruction_set_count()).compactMap { index in
        guard phi_instruction_set_runs_here(index), let kernels = phi_instruction_set(index) else { return nil }
        return InstructionSet(name: String(cString: kernels.pointee.name), kernels: kernels.pointee)
    }
    static let fast = all.filter { $0.name != "reference" }
    static var reference: phi_kernels {
        guard let last = all.last, last.name == "reference" else { fatalError("the reference must be the last") }
        return last.kernels
    }
}

extension WeightEncoding {
    func matmul(_ kernels: phi_kernels) -> phi_operation {
        withUnsafePointer(to: kernels) { phi_matmul_operation($0, number) }
    }
    func encode(_ kernels: phi_kernels) -> phi_operation {
        withUnsafePointer(to: kernels) { phi_encode_operation($0, number) }
    }
}

private func roundUp(_ n: Int, _ to: Int) -> Int { (n + to - 1) / to * to }

struct EncodeTests {
    /// What error feedback takes: a factor [columns][stride] in blocks and an importance for each column.
    struct Feedback {
        let block: Int
        let stride: Int
        let factor: Guarded<Float>
        let importance: Guarded<Float>
    }

    static func encode(
        _ kernels: phi_kernels, _ encoding: WeightEncoding, _ weights: [Float], rows: Int, columns: Int,
        feedback: Feedback? = nil
    ) -> Guarded<UInt8> {
        let tiles = roundUp(rows, 16) / 16
        let out = Guarded<UInt8>(tiles * phi_tile_bytes(encoding.number, columns))
        let source = Guarded(weights)
        let errors = Guarded<Double>(tiles)
        let squares = Guarded<Double>(tiles)
        let differences = Guarded<Float>(tiles * columns * 16)
        var arguments = phi_encode_args(
            rows: source.pointer, row_count: rows, columns: columns, out: out.pointer, errors: errors.pointer,
            squares: squares.pointer, feedback: feedback.map { UnsafePointer($0.factor.pointer) },
            feedback_stride: feedback?.stride ?? 0, feedback_block: feedback?.block ?? 0,
            importance: feedback.map { UnsafePointer($0.importance.pointer) },
            differences: differences.pointer)
        encoding.encode(kernels)(&arguments, 0, tiles)
        return out
    }

    @Test(
        arguments: WeightEncoding.quantised,
        [(1, 1, 256), (17, 65, 256), (5, 31, 512), (33, 300, 256), (33, 700, 512), (16, 512, 512)])
    func equalsTheReferenceWithErrorFeedback(encoding: WeightEncoding, shape: (rows: Int, columns: Int, block: Int)) {
        let (rows, columns, block) = shape
        var random = SeededGenerator(UInt64(rows * 1000 + columns))
        var weights = random.weights(rows * columns, scale: 0.02)
        for i in weights.indices where i % 128 < 32 && i % 3 > 0 { weights[i] = 0 }
        let feedback = Feedback(
            block: block, stride: block + 3,
            factor: Guarded(random.weights(columns * (block + 3), scale: 0.1)),
            importance: Guarded(random.weights(columns).map { $0.magnitude + 0.01 }))
        let given = (feedback.factor.bytes, feedback.importance.bytes)
        func tiles(_ kernels: phi_kernels, _ feedback: Feedback?) -> [UInt8] {
            Self.encode(kernels, encoding, weights, rows: rows, columns: columns, feedback: feedback).bytes
        }
        let expected = tiles(InstructionSet.reference, feedback)
        for set in InstructionSet.fast { #expect(tiles(set.kernels, feedback) == expected, "\(set.name)") }
        #expect(columns == 1 || expected != tiles(InstructionSet.reference, nil))
        #expect(given == (feedback.factor.bytes, feedback.importance.bytes))
    }

    @Test(arguments: WeightEncoding.all)
    func rowsComeBackWithinTheEncodingsError(encoding: WeightEncoding) {
        var random = SeededGenerator(7)
        let rows = 35, columns = 130
        let weights = random.weights(rows * columns)
        let tiles = Self.encode(InstructionSet.reference, encoding, weights, rows: rows, columns: columns)
        var error: Float = 0, power: Float = 0
        for row in 0..<rows {
            var values = [Float](repeating: .nan, count: columns)
            phi_row(tiles.pointer, encoding.number, row, columns, &values)
            for (value, weight) in zip(values, weights[row * columns..<(row + 1) * columns]) {
                error += (value - weight) * (value - weight)
                power += weight * weight
            }
        }
        let limits: [String: Float] = ["f32": 0, "f16": 1e-6, "q8": 1e-3, "q4": 2e-2]
        #expect(error / power <= limits[encoding.description] ?? 0, "\(error / power)")
    }
}

struct MatmulTests {
    static func product(
        _ kernels: phi_kernels, _ encoding: WeightEncoding, tiles: Guarded<UInt8>, x: [Float], bias: [Float], rows: Int,
        columns: Int, tokens: Int, accumulate: Bool, threads: Int32 = 1
    ) -> Guarded<Float> {
        let width = roundUp(columns, 64)
        let outStride = roundUp(rows, 16) + 16
        let padded = Guarded([Float](repeating: 0, count: tokens * width))
        for t in 0..<tokens { for c in 0..<columns { padded.pointer[t * width + c] = x[t * columns + c] } }
        let q = Guarded<Int8>(tokens * width)
        let blocks = roundUp(width, 256) / 256
        let scales = Guarded<Float>(tokens * blocks)
        let zeroCorrections = Guarded<Int32>(tokens * blocks)
        let groupZeroCorrections = Guarded<Int32>(tokens == 1 ? width / 16 : 0)
        var quantise = phi_quantise_args(
            x: padded.pointer, x_stride: width, width: width, tokens: tokens,
            zero_point: encoding.listed.zero_point, code_zero_point: encoding.listed.code_zero_point, q: q.pointer,
            scales: scales.pointer, zero_corrections: zeroCorrections.pointer,
            group_zero_corrections: groupZeroCorrections.pointer)
        kernels.quantise(&quantise, 0, phi_quantise_items(&quantise))
        let out = Guarded([Float](repeating: 0.25, count: tokens * outStride))
        let biases = Guarded(bias)
        var arguments = phi_matmul_args(
            weights: tiles.pointer, bias: biases.pointer, rows: rows, width: width, tokens: tokens, x: padded.pointer,
            x_stride: width, q: q.pointer, scales: scales.pointer, zero_corrections: zeroCorrections.pointer,
            group_zero_corrections: groupZeroCorrections.pointer, out: out.pointer, out_stride: outStride,
            accumulate: accumulate,
            tile_bytes: 0)
        let items = phi_matmul_items(&arguments, encoding.number)
        phi_parallel(threads, items, encoding.matmul(kernels), &arguments)
        return out
    }

    /// The product itself against plain arithmetic in double precision on the decoded rows.
    @Test(arguments: WeightEncoding.all)
    func isTheProduct(encoding: WeightEncoding) {
        var random = SeededGenerator(3)
        let rows = 40, columns = 300, tokens = 5
        let weights = random.weights(rows * columns, scale: 0.05)
        let x = random.weights(tokens * columns)
        let bias = random.weights(rows)
        let tiles = EncodeTests.encode(InstructionSet.reference, encoding, weights, rows: rows, columns: columns)
        let out = Self.product(
            InstructionSet.reference, encoding, tiles: tiles, x: x, bias: bias, rows: rows, columns: columns,
            tokens: tokens, accumulate: false
        ).elements
        var error = 0.0, power = 0.0
        for row in 0..<rows {
            var decoded = [Float](repeating: 0, count: columns)
            phi_row(tiles.pointer, encoding.number, row, columns, &decoded)
            for t in 0..<tokens {
                var sum = Double(bias[row])
                for c in 0..<columns { sum += Double(decoded[c]) * Double(x[t * columns + c]) }
                let difference = sum - Double(out[t * (roundUp(rows, 16) + 16) + row])
                error += difference * difference
                power += sum * sum
            }
        }
        // Only the activations' int8 remains for the quantised ones.
        #expect(error / power < (encoding.isQuantised ? 3e-3 : 1e-11), "\(error / power)")
    }
}

struct ActivationTests {
    /// x is what its integers stand for and the rest, on every instruction set.
    @Test(arguments: [64, 192, 256, 320, 1024])
    func whatQuantisingLeavesIsTheRest(width: Int) {
        var random = SeededGenerator(UInt64(width))
        var x = random.weights(width, scale: 3)
        for i in 0..<64 { x[width - 1 - i] = i < 32 ? 0 : 1e-31 }
        let source = Guarded(x), rest = Guarded<Float>(width)
        phi_quantisation_residual(source.pointer, width, rest.pointer)
        for set in InstructionSet.fast {
            let q = Guarded<Int8>(width), scales = Guarded<Float>((width + 255) / 256)
            let zeroCorrections = Guarded<Int32>((width + 255) / 256), groupZeroCorrections = Guarded<Int32>(width / 16)
            var arguments = phi_quantise_args(
                x: source.pointer, x_stride: width, width: width, tokens: 1, zero_point: 128,
                code_zero_point: 8, q: q.pointer,
                scales: scales.pointer, zero_corrections: zeroCorrections.pointer,
                group_zero_corrections: groupZeroCorrections.pointer)
            set.kernels.quantise(&arguments, 0, phi_quantise_items(&arguments))
            for i in 0..<width {
                let stored = scales.elements[i / 256] * Float(q.elements[i])
                #expect(rest.elements[i] == x[i] - stored, "\(set.name) \(i)")
            }
        }
    }

    @Test(arguments: [1, 15, 16, 17, 511, 512, 513, 1040])
    func geluEqualsTheReference(columns: Int) {
        var random = SeededGenerator(UInt64(columns))
        let tokens = 3
        var x = random.weights(tokens * columns, scale: 2)
        for (i, special) in [Float(0), -0.0, 100, -100, 1e-30, 1e30, -1e30, .infinity].enumerated() where i < x.count {
            x[i] = special
        }
        func run(_ kernels: phi_kernels) -> Guarded<Float> {
            let source = Guarded(x)
            let out = Guarded<Float>(tokens * (columns + 3))
            var arguments = phi_gelu_args(
                x: source.pointer, x_stride: columns, out: out.pointer, out_stride: columns + 3, columns: columns)
            kernels.gelu(&arguments, 0, phi_gelu_items(&arguments, tokens))
            return out
        }
        let expected = run(InstructionSet.reference)
        for set in InstructionSet.fast { #expect(run(set.kernels).bytes == expected.bytes, "\(set.name)") }
        for t in 0..<tokens {
            for c in 0..<columns where abs(x[t * columns + c]) < 50 {
                let v = Double(x[t * columns + c])
                let truth = v / (1 + exp(-2 * 0.7978845608028654 * (v + 0.044715 * v * v * v)))
                #expect(abs(Double(expected.elements[t * (columns + 3) + c]) - truth) <= 3e-7 * max(1, abs(truth)))
            }
        }
    }
}

struct HalfTests {
    @Test func everyHalfThereAndBack() {
        for bits in UInt16.min...UInt16.max {
            let value = phi_half_to_float(bits)
            if value.isNaN { continue }
            #expect(phi_float_to_half(value) == bits)
        }
    }

    @Test func roundsToTheNearestTiesToEven() {
        for bits: UInt16 in 0..<0x7bff {
            let low = phi_half_to_float(bits), high = phi_half_to_float(bits + 1)
            let middle = (low + high) / 2
            #expect(phi_float_to_half(middle) == (bits % 2 == 0 ? bits : bits + 1))
            #expect(phi_float_to_half(middle.nextDown) == bits)
            #expect(phi_float_to_half(middle.nextUp) == bits + 1)
        }
        #expect(phi_half_to_float(phi_float_to_half(65519)) == 65504)
        #expect(phi_half_to_float(phi_float_to_half(65520)) == .infinity)
    }
}
