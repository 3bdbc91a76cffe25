import PhiTokenizer

/// Tokens taken out in the order of falling weight, the lower id first among equals, as far as somebody asks: a binary
/// heap whose end fills with what was taken.
///
/// Weights are not kept here; each call gets the same ones. Nothing allocates after it is made.
struct CandidateHeap: Sendable {
    private var ids: [TokenID]  // [capacity]: the heap, then nothing, or what was taken, last taken first
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
        for parent in stride(from: count / 2 - 1, through: 0, by: -1) { sink(parent, weights) }
    }

    /// The token at `place`, from 0 and below ``count``, in falling order. Logarithmic when asked for the first time.
    mutating func token(at place: Int, _ weights: [Double]) -> TokenID {
        while count - heapCount <= place {
            heapCount -= 1
            ids.swapAt(0, heapCount)
            sink(0, weights)
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

    private mutating func sink(_ from: Int, _ weights: [Double]) {
        var parent = from
        while true {
            var first = parent
            for child in 2 * parent + 1...2 * parent + 2 where child < heapCount {
                if comesBefore(ids[child], ids[first], weights) { first = child }
            }
            if first == parent { return }
            ids.swapAt(parent, first)
            parent = first
        }
    }

    private func comesBefore(_ a: TokenID, _ b: TokenID, _ weights: [Double]) -> Bool {
        let (x, y) = (weights[Int(a)], weights[Int(b)])
        return x > y || (x == y && a < b)
    }
}
