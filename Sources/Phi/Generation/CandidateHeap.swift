import PhiTokenizer

/// Tokens taken out in the order of falling weight, the lower id first among equals, as far as somebody asks: a binary
/// heap whose end fills with what was taken.
///
/// Weights are not kept here; each call gets the same ones. Nothing allocates after it is made.
struct CandidateHeap: Sendable {
    private var ids: [TokenID]  // [capacity]: the heap, then what was taken, last taken first, up to count
    private var heapCount = 0
    /// Tokens that were filled in.
    private(set) var count = 0

    init(capacity: Int) { ids = [TokenID](repeating: 0, count: capacity) }

    /// The most tokens it can hold.
    var capacity: Int { ids.count }

    /// Begins anew with all tokens that weigh `least` or more, one at least. Linear.
    mutating func fill(_ weights: [Double], from least: Double) {
        count = 0
        for (i, weight) in weights.enumerated() where weight >= least {
            ids[count] = TokenID(truncatingIfNeeded: i)
            count += 1
        }
        heapCount = count
        withHeap(weights) { heap in
            for parent in stride(from: heap.count / 2 - 1, through: 0, by: -1) { heap.sink(parent) }
        }
    }

    /// The token at `place`, from 0 and below ``count``, in falling order. Logarithmic when asked for the first time.
    mutating func token(at place: Int, _ weights: [Double]) -> TokenID {
        while count - heapCount <= place {
            heapCount -= 1
            ids.swapAt(0, heapCount)
            withHeap(weights) { $0.sink(0) }
        }
        return ids[count - 1 - place]
    }

    /// The one of the first `taken` tokens at which their running sum of weights passes `place`.
    mutating func draw(_ weights: [Double], _ taken: Int, _ place: Double) -> TokenID {
        var sum = 0.0
        for i in 0..<taken - 1 {
            let token = token(at: i, weights)
            sum += weights[Int(token)]
            if sum > place { return token }
        }
        return token(at: taken - 1, weights)
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

/// The heap while it is worked on: no parent comes after its children, which are at twice its place plus 1 and 2.
private struct Heap {
    let ids: UnsafeMutableBufferPointer<TokenID>
    let weights: UnsafeBufferPointer<Double>

    var count: Int { ids.count }

    /// Moves the token at `place` down to where it belongs.
    func sink(_ place: Int) {
        guard place < count else { return }
        let token = ids[place]
        var hole = place
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
