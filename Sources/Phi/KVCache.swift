import CPhiKernels
import PhiFormat

/// Keys and values of all positions so far, for one session.
///
/// In f16, or in f32 for a model in f32, which is then exact. Its memory is taken page by page as positions fill.
final class KVCache {
    /// Positions there is room for.
    let capacity: Int
    /// Positions that are filled.
    var count = 0
    /// Whether elements are f16 and not f32.
    let isHalf: Bool
    /// Elements between the keys of one kv head and the next: capacity x head size.
    let keyStride: Int
    /// Elements between the values of one kv head and the next: capacity x ``valueSize``.
    let valueStride: Int
    /// Head size rounded up to sixteen lanes.
    let valueSize: Int
    private let keyBytes: Int
    private let layerBytes: Int
    private let memory: Buffer<UInt8>  // [layers][keys of all kv heads, values of all kv heads]

    init(_ config: ModelConfig, capacity: Int, isHalf: Bool) throws(SessionError) {
        let positions = roundUp(capacity, to: Int(PHI_POSITION_BLOCK))
        let elementBytes = isHalf ? 2 : 4
        self.capacity = capacity
        self.isHalf = isHalf
        valueSize = roundUp(config.headSize, to: 16)
        keyStride = positions * config.headSize
        valueStride = positions * valueSize
        keyBytes = config.kvHeads * keyStride * elementBytes
        layerBytes = keyBytes + config.kvHeads * valueStride * elementBytes
        memory = try Buffer(config.layers * layerBytes)
    }

    /// Bytes that a full cache takes.
    var byteCount: Int { memory.count }

    func keys(_ layer: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(memory.start + layer * layerBytes) }
    func values(_ layer: Int) -> UnsafeMutableRawPointer { keys(layer) + keyBytes }
}
