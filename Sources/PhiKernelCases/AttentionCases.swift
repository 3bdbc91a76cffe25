import CPhiKernels

/// How the KV cache keeps its elements.
package enum CacheEncoding: String, CaseIterable, Sendable {
    case f32, f16, q8

    /// Bytes of an element.
    var elementBytes: Int {
        switch self {
        case .f32: 4
        case .f16: 2
        case .q8: 1
        }
    }
}

/// Heads and positions of an attention.
package struct AttentionShape: Sendable, CustomStringConvertible {
    var heads = 4
    var kvHeads = 4
    var headSize = 64
    var first = 0
    var tokens = 1

    package var description: String {
        let grouped = kvHeads == heads ? "" : "/\(kvHeads)"
        return "\(heads)\(grouped) x \(headSize), \(tokens) tokens at depth \(first)"
    }

    var positions: Int { roundUp(first + tokens, Int(PHI_POSITION_BLOCK)) }
    var valueSize: Int { roundUp(headSize, 16) }
    var valueStride: Int { positions * valueSize }
    var groups: Int { roundUp(headSize, Int(PHI_CACHE_GROUP)) / Int(PHI_CACHE_GROUP) }
    var scaleStride: Int { positions * groups }

    func keyStride(_ encoding: CacheEncoding) -> Int {
        positions * (encoding == .q8 ? groups * Int(PHI_CACHE_GROUP) : headSize)
    }
}

extension KernelCase {
    /// Keys and values of some tokens into the cache.
    package static func store(_ encoding: CacheEncoding, _ shape: AttentionShape) -> KernelCase {
        KernelCase("store_\(encoding)", "\(shape)") { _ in
            var random = SeededGenerator(UInt64(shape.first + shape.tokens))
            let cache = Cache(encoding, shape), source = Rows(shape.tokens, shape, &random)
            let arguments = cache.storeArguments(source, first: shape.first, tokens: shape.tokens)
            let elements = 2 * shape.tokens * shape.kvHeads * shape.headSize
            return KernelRun(
                [arguments], items: shape.kvHeads, bytes: elements * (4 + encoding.elementBytes),
                outputs: [
                    { cache.keys.bytes }, { cache.values.bytes }, { cache.keyScales.bytes },
                    { cache.valueScales.bytes },
                ], keeping: [cache, source])
        }
    }

    /// Attention of some tokens to the cache and themselves.
    package static func attention(_ encoding: CacheEncoding, _ shape: AttentionShape) -> KernelCase {
        KernelCase("attention_\(encoding)", "\(shape)") { spread in
            var random = SeededGenerator(UInt64(shape.first + shape.tokens))
            let width = shape.heads * shape.headSize, count = shape.first + shape.tokens
            let q = Guarded(random.weights(shape.tokens * width))
            let out = Guarded<Float>(shape.tokens * (width + 5))
            let source = Rows(count, shape, &random)
            let size = shape.kvHeads * (shape.keyStride(encoding) + shape.valueStride) * encoding.elementBytes
            let caches = (0..<copies(size, spread)).map { _ in
                let cache = Cache(encoding, shape)
                var store = cache.storeArguments(source, first: 0, tokens: count)
                refer("store_\(encoding)", &store, items: shape.kvHeads)
                return cache
            }
            var items = 0
            let arguments = caches.map { cache in
                var arguments = cache.attentionArguments(q, out, outStride: width + 5)
                items = phi_attention_items(&arguments)
                return arguments
            }
            let pairs = (0..<shape.tokens).reduce(0) { $0 + shape.first + $1 + 1 }
            let scaleBytes = encoding == .q8 ? 2 * shape.groups : 0
            let read = 2 * count * shape.kvHeads * (shape.headSize * encoding.elementBytes + scaleBytes)
            return KernelRun(
                arguments, items: items, bytes: read + 2 * shape.tokens * width * 4,
                arithmetic: 4 * Double(pairs) * Double(width), outputs: [{ out.bytes }],
                keeping: caches + [q, out, source])
        }
    }
}

/// The cache of one layer, zero where nothing is stored. Scales are there for all encodings and used by q8.
private final class Cache {
    let keys, values: Guarded<UInt8>
    let keyScales, valueScales: Guarded<UInt16>
    private let shape: AttentionShape
    private let keyStride: Int

    init(_ encoding: CacheEncoding, _ shape: AttentionShape) {
        self.shape = shape
        keyStride = shape.keyStride(encoding)
        keys = Guarded([UInt8](repeating: 0, count: shape.kvHeads * keyStride * encoding.elementBytes))
        values = Guarded([UInt8](repeating: 0, count: shape.kvHeads * shape.valueStride * encoding.elementBytes))
        keyScales = Guarded([UInt16](repeating: 0, count: shape.kvHeads * shape.scaleStride))
        valueScales = Guarded([UInt16](repeating: 0, count: shape.kvHeads * shape.scaleStride))
    }

    func storeArguments(_ source: Rows, first: Int, tokens: Int) -> phi_store_args {
        phi_store_args(
            k: source.rows.pointer, v: source.rows.pointer + source.stride / 2, stride: source.stride, tokens: tokens,
            first: first, keys: keys.pointer, values: values.pointer, key_stride: keyStride,
            value_stride: shape.valueStride, key_scales: keyScales.pointer, value_scales: valueScales.pointer,
            scale_stride: shape.scaleStride, head_size: shape.headSize, value_size: shape.valueSize)
    }

    func attentionArguments(_ q: Guarded<Float>, _ out: Guarded<Float>, outStride: Int) -> phi_attention_args {
        phi_attention_args(
            q: q.pointer, q_stride: shape.heads * shape.headSize, keys: keys.pointer, values: values.pointer,
            key_stride: keyStride, value_stride: shape.valueStride, key_scales: keyScales.pointer,
            value_scales: valueScales.pointer, scale_stride: shape.scaleStride, head_size: shape.headSize,
            value_size: shape.valueSize, heads: shape.heads, kv_heads: shape.kvHeads, first: shape.first,
            tokens: shape.tokens, scale: 1 / Float(shape.headSize).squareRoot(), out: out.pointer, out_stride: outStride
        )
    }
}

/// Rows of keys and values side by side.
private final class Rows {
    let rows: Guarded<Float>
    let stride: Int

    init(_ count: Int, _ shape: AttentionShape, _ random: inout SeededGenerator) {
        stride = 2 * shape.kvHeads * shape.headSize
        rows = Guarded(random.weights(count * stride, scale: 0.3))
    }
}
