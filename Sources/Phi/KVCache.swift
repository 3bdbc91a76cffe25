import CPhiKernels
import PhiFormat

/// How a session keeps its keys and values.
public enum CacheEncoding: String, Sendable, CaseIterable {
    /// Exact; for models in f32.
    case f32
    /// 16-bit floats.
    case f16
    /// 8-bit integers with a scale for 32: half of f16's memory and reading, `Bench/README.md` has what it costs.
    case q8

    var elementBytes: Int {
        switch self {
        case .f32: 4
        case .f16: 2
        case .q8: 1
        }
    }
}

/// Keys and values of all positions so far, for one session. Its memory is taken page by page as positions fill.
final class KVCache {
    /// Positions there is room for: the capacity asked for in whole blocks.
    let positions: Int
    /// Positions that are filled.
    var count = 0
    /// How elements are kept.
    let encoding: CacheEncoding
    /// Head size rounded up to sixteen lanes.
    let valueSize: Int
    /// Elements between the keys of one kv head and the next.
    let keyStride: Int
    /// Elements between the values of one kv head and the next.
    let valueStride: Int
    /// Scales between those of one kv head and the next; 0 but for ``CacheEncoding/q8``.
    let scaleStride: Int

    /// One layer: keys, values, scales of keys, scales of values, each of all kv heads.
    private let valuesOffset, keyScalesOffset, valueScalesOffset, layerBytes: Int
    private let memory: Buffer<UInt8>  // [layers][layerBytes]

    /// A cache for `layers` blocks, by default all of the model's.
    init(_ config: ModelConfig, layers: Int? = nil, capacity: Int, encoding: CacheEncoding) throws(SessionError) {
        positions = roundUp(capacity, to: Int(PHI_POSITION_BLOCK))
        let isIntegers = encoding == .q8
        let groups = roundUp(config.headSize, to: Int(PHI_GROUP)) / Int(PHI_GROUP)
        self.encoding = encoding
        valueSize = roundUp(config.headSize, to: 16)
        keyStride = positions * (isIntegers ? groups * Int(PHI_GROUP) : config.headSize)
        valueStride = positions * valueSize
        scaleStride = isIntegers ? positions * groups : 0
        valuesOffset = config.kvHeads * keyStride * encoding.elementBytes
        keyScalesOffset = valuesOffset + config.kvHeads * valueStride * encoding.elementBytes
        valueScalesOffset = keyScalesOffset + config.kvHeads * scaleStride * 2
        layerBytes = valueScalesOffset + config.kvHeads * scaleStride * 2
        memory = try Buffer((layers ?? config.layers) * layerBytes)
    }

    /// Bytes that a full cache takes.
    var byteCount: Int { memory.count }

    private func layer(_ layer: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(memory.start + layer * layerBytes)
    }

    func keys(_ layer: Int) -> UnsafeMutableRawPointer { self.layer(layer) }
    func values(_ layer: Int) -> UnsafeMutableRawPointer { self.layer(layer) + valuesOffset }
    func keyScales(_ layer: Int) -> UnsafeMutablePointer<UInt16> {
        (self.layer(layer) + keyScalesOffset).assumingMemoryBound(to: UInt16.self)
    }
    func valueScales(_ layer: Int) -> UnsafeMutablePointer<UInt16> {
        (self.layer(layer) + valueScalesOffset).assumingMemoryBound(to: UInt16.self)
    }
}
