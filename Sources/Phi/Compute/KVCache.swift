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
package final class KVCache {
    /// Positions there is room for: the capacity asked for in whole blocks.
    let positions: Int
    /// Positions that are filled. Its session sets it, together with its tokens.
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

    private let layers, kvHeads: Int
    /// One layer: keys, values, scales of keys, scales of values, each of all kv heads.
    private let valuesOffset, keyScalesOffset, valueScalesOffset, layerBytes: Int
    private let memory: Buffer<UInt8>  // [layers][layerBytes]

    /// A cache for `layers` blocks, by default all of the model's.
    package init(_ config: ModelConfig, layers: Int? = nil, capacity: Int, encoding: CacheEncoding) throws(SessionError)
    {
        positions = roundUp(capacity, to: Int(PHI_POSITION_BLOCK))
        let isIntegers = encoding == .q8
        let groups = roundUp(config.headSize, to: Int(PHI_CACHE_GROUP)) / Int(PHI_CACHE_GROUP)
        self.encoding = encoding
        self.layers = layers ?? config.layers
        kvHeads = config.kvHeads
        valueSize = roundUp(config.headSize, to: 16)
        keyStride = positions * (isIntegers ? groups * Int(PHI_CACHE_GROUP) : config.headSize)
        valueStride = positions * valueSize
        scaleStride = isIntegers ? positions * groups : 0
        valuesOffset = config.kvHeads * keyStride * encoding.elementBytes
        keyScalesOffset = valuesOffset + config.kvHeads * valueStride * encoding.elementBytes
        valueScalesOffset = keyScalesOffset + config.kvHeads * scaleStride * 2
        layerBytes = valueScalesOffset + config.kvHeads * scaleStride * 2
        memory = try Buffer(self.layers * layerBytes)
    }

    /// Bytes that a full cache takes.
    var byteCount: Int { memory.count }
    /// Those of the blocks of positions that are filled or begun.
    var filledByteCount: Int { byteCount / positions * roundUp(count, to: Int(PHI_POSITION_BLOCK)) }

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

    /// Memory of neighbouring positions.
    struct Region {
        let memory: UnsafeMutableRawBufferPointer
        /// Bytes of a position in each row of a tile of 16 positions; 0 where positions lie one after the other.
        let lane: Int
    }

    /// The memory of the first `count` positions: for each layer and kv head keys, values, and with ``CacheEncoding/q8``
    /// scales of keys and of values; all but values in whole tiles of 16 positions. Sizes and order follow from the shape, the
    /// encoding and `count`, not from the capacity.
    func regions(of count: Int) -> [Region] {
        let inTiles = roundUp(count, to: 16)
        let element = encoding.elementBytes
        let keyLane = encoding == .q8 ? 4 : element  // integers come in quads of dimensions
        var regions: [Region] = []
        for layer in 0..<layers {
            for head in 0..<kvHeads {
                func add(_ start: UnsafeMutableRawPointer, stride: Int, bytes: Int, used: Int, lane: Int) {
                    // A stride is so many elements for each position there is room for.
                    let memory = UnsafeMutableRawBufferPointer(
                        start: start + head * stride * bytes, count: stride / positions * bytes * used)
                    regions.append(Region(memory: memory, lane: lane))
                }
                add(keys(layer), stride: keyStride, bytes: element, used: inTiles, lane: keyLane)
                add(values(layer), stride: valueStride, bytes: element, used: count, lane: 0)
                if encoding != .q8 { continue }
                add(keyScales(layer), stride: scaleStride, bytes: 2, used: inTiles, lane: 2)
                add(valueScales(layer), stride: scaleStride, bytes: 2, used: inTiles, lane: 2)
            }
        }
        return regions
    }

    /// Takes the first `count` positions of `other`, a cache of the same shape and encoding.
    func copy(_ count: Int, of other: KVCache) {
        for (mine, its) in zip(regions(of: count), other.regions(of: count)) {
            mine.memory.copyMemory(from: UnsafeRawBufferPointer(its.memory))
        }
        self.count = count
    }
}
