import CPhiKernels

/// The rotary embedding of queries and keys, followed by appending keys and values to the KV cache. An item is up to
/// eight kv heads of the positions in a tile of the KV cache: rows long enough to be prefetched, few enough to stay in
/// the L1 or L2 cache.
struct AppendToKVCache: BitwiseCopyable {
    let rotary: Unmanaged<RotaryEmbedding>
    let queries: Rows  // [tokens, query]
    let keys: Rows  // [tokens, key]
    let queriesPerKey, kvHeads: Int
    let store: phi_operation
    let arguments: phi_store_args

    private static let headsTogether = 8
    private static let tile = 16
    private var headGroups: Int { (kvHeads + Self.headsTogether - 1) / Self.headsTogether }
    private var tiles: Range<Int> {
        arguments.first / Self.tile..<(arguments.first + arguments.tokens + Self.tile - 1) / Self.tile
    }
    var items: Int { tiles.count * headGroups }

    static let operation: phi_operation = { arguments, begin, end in
        guard let command = arguments?.assumingMemoryBound(to: AppendToKVCache.self).pointee else { return }
        for item in begin..<end {
            let (number, group) = item.quotientAndRemainder(dividingBy: command.headGroups)
            let heads = group * headsTogether..<min((group + 1) * headsTogether, command.kvHeads)
            let position = (command.tiles.lowerBound + number) * tile
            let first = max(position, command.arguments.first)
            let end = min(position + tile, command.arguments.first + command.arguments.tokens)
            command.append(heads, positions: first..<end)
        }
    }

    /// Appends `heads` of `positions`, which must be in one tile.
    private func append(_ heads: Range<Int>, positions: Range<Int>) {
        let skipped = positions.lowerBound - arguments.first
        var part = arguments
        part.k += skipped * part.stride
        part.v += skipped * part.stride
        part.first = positions.lowerBound
        part.tokens = positions.count
        let headSize = part.head_size
        let queries = queries.from(column: heads.lowerBound * queriesPerKey * headSize)
        let keys = keys.from(column: heads.lowerBound * headSize)
        rotary._withUnsafeGuaranteedRef { rotary in
            for (token, position) in positions.enumerated() {
                rotary.rotate(
                    queries.from(row: skipped + token).start, heads: heads.count * queriesPerKey, headSize: headSize,
                    position: position)
                rotary.rotate(
                    keys.from(row: skipped + token).start, heads: heads.count, headSize: headSize, position: position)
            }
        }
        store(&part, heads.lowerBound, heads.upperBound)
    }
}
