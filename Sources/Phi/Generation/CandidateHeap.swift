import PhiTokenizer

/// A binary heap that sorts tokens lazily by descending weight, the lower id first among equals.
///
/// Weights are passed to each call and must not change between fills. Nothing allocates after initialisation.
struct CandidateHeap: Sendable {
    private var ids: [TokenID]  // [capacity]: the heap, then the sorted tokens in reverse order, up to count
    private var heapCount = 0
    /// Number of tokens, in the heap or sorted.
    private(set) var count = 0

    init(capacity: Int) { ids = [TokenID](repeating: 0, count: capacity) }

    /// Largest number of tokens.
    var capacity: Int { ids.count }

    /// Replaces the contents by all tokens whose weight is at least `minimum`; there must be one. Linear.
    mutating func fill(_ weights: [Double], minimum: Double) {
        count = 0
        for (i, weight) in weights.enumerated() where weight >= minimum {
            ids[count] = TokenID(truncatingIfNeeded: i)
            count += 1
        }
        heapCount = count
        withHeap(weights) { heap in
            for parent in stride(from: heap.count / 2 - 1, through: 0, by: -1) { heap.siftDown(parent) }
        }
    }

    /// Returns the token of rank `rank`, less than ``count``, in descending order. Logarithmic at first use of a rank.
    mutating func token(rank: Int, _ weights: [Double]) -> TokenID {
        while count - heapCount <= rank {
            heapCount -= 1
            ids.swapAt(0, heapCount)
            withHeap(weights) { $0.siftDown(0) }
        }
        return ids[count - 1 - rank]
    }

    /// Returns the first token whose cumulative weight exceeds `threshold`, or the last of the first `limit` tokens.
    mutating func draw(_ weights: [Double], limit: Int, threshold: Double) -> TokenID {
        var sum = 0.0
        for rank in 0..<limit - 1 {
            let token = token(rank: rank, weights)
            sum += weights[Int(token)]
            if sum > threshold { return token }
        }
        return token(rank: limit - 1, weights)
    }

    private mutating func withHeap(_ weights: [Double], _ body: (Heap) -> Void) {
        let count = heapCount
        ids.withUnsafeMutableBufferPointer { ids in
            weights.withUnsafeBufferPointer { weights in
                body(Heap(ids: UnsafeMutableBufferPointer(rebasing: ids[..<count]), weights: weights))
            }
        }
    }
}

/// A view of the heap: the children of index i are at 2 i + 1 and 2 i + 2, and none comes before its parent.
private struct Heap {
    let ids: UnsafeMutableBufferPointer<TokenID>
    let weights: UnsafeBufferPointer<Double>

    var count: Int { ids.count }

    /// Restores the heap order below `index` by moving its token down.
    func siftDown(_ index: Int) {
        guard index < count else { return }
        let token = ids[index]
        var hole = index
        while true {
            var child = 2 * hole + 1
            if child >= count { break }
            if child + 1 < count, comesBefore(ids[child + 1], ids[child]) { child += 1 }
            if !comesBefore(ids[child], token) { break }
            ids[hole] = ids[child]
            hole = child
        }
        ids[hole] = token
    }

    private func comesBefore(_ a: TokenID, _ b: TokenID) -> Bool {
        let (x, y) = (weights[Int(a)], weights[Int(b)])
        return x > y || (x == y && a < b)
    }
}
