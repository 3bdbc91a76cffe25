import CPhiKernels
import Foundation
import PhiKernelCases
import Testing

/// Storing keys and values in each kind of cache, and attention over them.
struct AttentionTests {
    struct Shape: CustomTestStringConvertible {
        var heads = 4, kvHeads = 4, headSize = 64, first = 0, tokens = 1
        var testDescription: String { "\(heads)/\(kvHeads) x \(headSize), \(tokens) from \(first)" }
        var positions: Int { (first + tokens + 63) / 64 * 64 }
        var width: Int { heads * headSize }
    }

    /// A cache: bytes of an element, its operations, and how much of the answer's power its rounding may be.
    struct CacheKind: CustomTestStringConvertible {
        let name: String
        let bytes: Int
        let store: @Sendable (phi_kernels) -> phi_operation
        let attention: @Sendable (phi_kernels) -> phi_operation
        let tolerance: Double
        var testDescription: String { name }
        var isInteger: Bool { bytes == 1 }

        static let all = [
            CacheKind(
                name: "f32", bytes: 4, store: { $0.store_f32 }, attention: { $0.attention_f32 }, tolerance: 1e-11),
            CacheKind(name: "f16", bytes: 2, store: { $0.store_f16 }, attention: { $0.attention_f16 }, tolerance: 1e-5),
            CacheKind(name: "q8", bytes: 1, store: { $0.store_q8 }, attention: { $0.attention_q8 }, tolerance: 3e-3),
        ]
    }

    /// A cache that holds the keys and values of all positions, and a query's answer from it.
    struct Cache {
        let shape: Shape, kind: CacheKind
        let keys, values: Guarded<UInt8>
        let keyScales, valueScales: Guarded<UInt16>
        let keyStride, valueStride, scaleStride, valueSize: Int

        init(_ shape: Shape, _ kind: CacheKind, _ kernels: phi_kernels, keys k: [Float], values v: [Float]) {
            let groups = (shape.headSize + 31) / 32, positions = shape.positions
            self.shape = shape
            self.kind = kind
            valueSize = (shape.headSize + 15) / 16 * 16
            keyStride = positions * (kind.isInteger ? groups * 32 : shape.headSize)
            valueStride = positions * valueSize
            scaleStride = kind.isInteger ? positions * groups : 0
            keys = Guarded([UInt8](repeating: 0, count: shape.kvHeads * keyStride * kind.bytes))
            values = Guarded([UInt8](repeating: 0, count: shape.kvHeads * valueStride * kind.bytes))
            keyScales = Guarded([UInt16](repeating: 0, count: max(1, shape.kvHeads * scaleStride)))
            valueScales = Guarded([UInt16](repeating: 0, count: max(1, shape.kvHeads * scaleStride)))
            let sources = (Guarded(k), Guarded(v))
            let stride = shape.kvHeads * shape.headSize
            // In two calls, the second beginning in the middle of a tile.
            for part in [
                0..<min(5, shape.first + shape.tokens), min(5, shape.first + shape.tokens)..<shape.first + shape.tokens,
            ] {
                var arguments = phi_store_args(
                    k: sources.0.pointer + part.lowerBound * stride, v: sources.1.pointer + part.lowerBound * stride,
                    stride: stride, tokens: part.count, first: part.lowerBound, keys: keys.pointer,
                    values: values.pointer, key_stride: keyStride, value_stride: valueStride,
                    key_scales: keyScales.pointer, value_scales: valueScales.pointer, scale_stride: scaleStride,
                    head_size: shape.headSize, value_size: valueSize)
                kind.store(kernels)(&arguments, 0, shape.kvHeads)
            }
        }

        var bytes: [[UInt8]] { [keys.bytes, values.bytes, keyScales.bytes, valueScales.bytes] }

        func attention(_ kernels: phi_kernels, _ q: [Float]) -> Guarded<Float> {
            let queries = Guarded(q)
            let out = Guarded<Float>(shape.tokens * (shape.width + 5))
            var arguments = phi_attention_args(
                q: queries.pointer, q_stride: shape.width, keys: keys.pointer, values: values.pointer,
                key_stride: keyStride, value_stride: valueStride, key_scales: keyScales.pointer,
                value_scales: valueScales.pointer, scale_stride: scaleStride, head_size: shape.headSize,
                value_size: valueSize, heads: shape.heads, kv_heads: shape.kvHeads, first: shape.first,
                tokens: shape.tokens, scale: 0.125, out: out.pointer, out_stride: shape.width + 5)
            kind.attention(kernels)(&arguments, 0, phi_attention_items(&arguments))
            return out
        }
    }

    @Test(
        arguments: CacheKind.all,
        [
            Shape(), Shape(first: 63), Shape(first: 64), Shape(tokens: 70), Shape(first: 100, tokens: 37),
            Shape(heads: 3, kvHeads: 3, headSize: 80, first: 17, tokens: 9),
            Shape(heads: 2, kvHeads: 2, headSize: 128, first: 130, tokens: 1),
            Shape(heads: 4, kvHeads: 2, headSize: 32, first: 200, tokens: 3),
            Shape(heads: 5, kvHeads: 1, headSize: 8, first: 5, tokens: 130),
        ])
    func equalsTheReference(kind: CacheKind, shape: Shape) {
        var random = SeededGenerator(UInt64(shape.first + shape.tokens))
        let q = random.weights(shape.tokens * shape.width)
        let count = (shape.first + shape.tokens) * shape.kvHeads * shape.headSize
        var keys = random.weights(count, scale: 0.3)
        let values = random.weights(count)
        for i in 0..<min(32, count) { keys[i] = i == 3 ? 1e-9 : 0 }  // a group whose scale is zero
        let truth = Cache(shape, kind, InstructionSet.reference, keys: keys, values: values)
        let expected = truth.attention(InstructionSet.reference, q)
        for set in InstructionSet.fast {
            let cache = Cache(shape, kind, set.kernels, keys: keys, values: values)
            #expect(cache.bytes == truth.bytes, "\(set.name)")
            #expect(cache.attention(set.kernels, q).bytes == expected.bytes, "\(set.name)")
        }
        isTheDefinition(kind, shape, q, keys, values, expected)
    }

    /// Against plain arithmetic in double precision on the keys and values as they came.
    private func isTheDefinition(
        _ kind: CacheKind, _ shape: Shape, _ q: [Float], _ keys: [Float], _ values: [Float], _ found: Guarded<Float>
    ) {
        func at(_ position: Int, _ kv: Int, _ d: Int) -> Int { (position * shape.kvHeads + kv) * shape.headSize + d }
        var error = 0.0, power = 0.0
        for t in 0..<shape.tokens {
            for head in 0..<shape.heads {
                let kv = head / (shape.heads / shape.kvHeads)
                let scores = (0...shape.first + t).map { j in
                    (0..<shape.headSize).reduce(0.0) { sum, d in
                        sum + Double(q[t * shape.width + head * shape.headSize + d]) * Double(keys[at(j, kv, d)])
                    } * 0.125
                }
                let most = scores.max() ?? 0
                let weights = scores.map { exp($0 - most) }
                let total = weights.reduce(0, +)
                for d in 0..<shape.headSize {
                    let truth =
                        weights.enumerated().reduce(0.0) { $0 + $1.element * Double(values[at($1.offset, kv, d)]) }
                        / total
                    let value = Double(found.elements[t * (shape.width + 5) + head * shape.headSize + d])
                    error += (value - truth) * (value - truth)
                    power += truth * truth
                }
            }
        }
        #expect(error / power < kind.tolerance, "\(error / power)")
    }
}
