import CPhiKernels
import PhiFormat
import PhiSystem

/// The encoding of keys and values in a KV cache.
public enum CacheEncoding: String, Sendable, CaseIterable {
    /// 32-bit floats, exact.
    case f32
    /// 16-bit floats.
    case f16
    /// 8-bit integers with an f16 scale for 32: about half the bytes of f16. `Bench/README.md` reports its accuracy.
    case q8

    var elementBytes: Int {
        switch self {
        case .f32: 4
        case .f16: 2
        case .q8: 1
        }
    }
}

/// The keys and values of a session's tokens. In each layer:
///
///     keys          [kv head][position / 16][head size][16]         q8: [kv head][position / 16][head size / 4][16][4]
///     values        [kv head][position][value size]
///     key scales    [kv head][position / 16][head size / 32][16]    f16, in q8 only
///     value scales  [kv head][position / 16][head size / 32][16]    f16, in q8 only
///
/// In q8, head sizes of keys and scales are rounded up to 32. Pages are not resident before they are written.
package final class KVCache {
    /// Number of positions: the capacity rounded up to whole blocks.
    let positions: Int
    /// Number of positions that hold the session's tokens; set by the session together with them.
    var count = 0 {
        didSet { written = max(written, count) }
    }
    /// Number of positions that have been written so far: also drafted ones, and those of tokens that were removed.
    var written = 0
    let encoding: CacheEncoding
    /// Head size rounded up to 16.
    let valueSize: Int
    /// Number of elements per kv head: of keys, of values, and of the scales of either (0 except with q8).
    let keyStride, valueStride, scaleStride: Int

    private let layers, kvHeads: Int
    private let valuesOffset, keyScalesOffset, valueScalesOffset, layerBytes: Int
    private let memory: Buffer<UInt8>  // [layers][layerBytes]

    /// Creates a cache of `capacity` positions for `layers` transformer blocks, by default all of the model's.
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
        memory = try Buffer(self.layers * layerBytes, pages: .small)
    }

    /// Bytes of the whole cache.
    var byteCount: Int { memory.count }
    /// Bytes of the pages that have been written, at least in part: its resident memory.
    var residentByteCount: Int {
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let used = regions(of: written).map { region in
            let start = UInt(bitPattern: region.memory.baseAddress)
            return (first: start / page, end: (start + UInt(region.memory.count) + page - 1) / page)
        }
        // Regions that meet within a page share it.
        var (bytes, next) = (0, 0 as UInt)
        for (first, end) in used.sorted(by: { $0.first < $1.first }) where end > next {
            bytes += Int((end - max(first, next)) * page)
            next = end
        }
        return bytes
    }

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

    /// Contiguous memory of the first positions in one layer and kv head.
    struct Region {
        let memory: UnsafeMutableRawBufferPointer
        /// Size of a position in each row of 16 of a tile; 0 for values, which are not in tiles.
        let laneBytes: Int
    }

    /// Returns the memory of the first `count` positions: for each layer and kv head keys, values and, with q8, their
    /// scales, all but values in whole tiles of 16 positions. Order and sizes depend on the shape, the encoding and
    /// `count`, not on the capacity.
    func regions(of count: Int) -> [Region] {
        let inTiles = roundUp(count, to: 16)
        let element = encoding.elementBytes
        let keyLane = encoding == .q8 ? 4 : element  // q8: four dimensions
        var regions: [Region] = []
        for layer in 0..<layers {
            for head in 0..<kvHeads {
                func add(_ start: UnsafeMutableRawPointer, stride: Int, bytes: Int, used: Int, laneBytes: Int) {
                    // stride / positions: elements of a position
                    let memory = UnsafeMutableRawBufferPointer(
                        start: start + head * stride * bytes, count: stride / positions * bytes * used)
                    regions.append(Region(memory: memory, laneBytes: laneBytes))
                }
                add(keys(layer), stride: keyStride, bytes: element, used: inTiles, laneBytes: keyLane)
                add(values(layer), stride: valueStride, bytes: element, used: count, laneBytes: 0)
                if encoding != .q8 { continue }
                add(keyScales(layer), stride: scaleStride, bytes: 2, used: inTiles, laneBytes: 2)
                add(valueScales(layer), stride: scaleStride, bytes: 2, used: inTiles, laneBytes: 2)
            }
        }
        return regions
    }

    /// Copies the first `count` positions of `other`, which must have the same shape and encoding.
    func copy(_ count: Int, of other: KVCache) {
        for (target, source) in zip(regions(of: count), other.regions(of: count)) {
            target.memory.copyMemory(from: UnsafeRawBufferPointer(source.memory))
        }
    }
}
