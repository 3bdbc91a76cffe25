import PhiFormat

/// Orders of the MLP's channels, the columns of an output projection behind attention's, in which blocks of columns lose little.
struct ChannelLayout {
    /// The checkpoint's channel in each place; ``RoundingLoss/zeroColumn`` in places that it does not fill.
    private(set) var order: [Int]
    /// The order with the channels that ``added(_:_:)`` allows, if it is much better.
    private let padded: [Int]?
    /// Whether it is so much better that the model should have more channels.
    let needsMore: Bool

    /// Columns of the block in which outliers are alone.
    private static let alone = TensorEncoding.stripColumns
    /// The share of the loss that added channels must spare somewhere.
    private static let leastGainOfMore = 0.5

    /// The number of channels, of zero size, that gives outliers a short block of their own behind the other columns: at most a block
    /// of columns where columns are a multiple of 64.
    static func added(attention first: Int, channels count: Int) -> Int {
        let unit = TensorEncoding.blockColumns
        return (first + count + unit - 1) / unit * unit + alone - first - count
    }

    /// Chooses by the inputs x of the output projection, the first of which are attention's, and its loss.
    init(_ x: InputSample, from first: Int, _ loss: RoundingLoss) {
        let count = x.columns - first, own = Array(x.rootMeanSquares[first...])
        func best(_ orders: [[Int]], below least: Double) -> (order: [Int], loss: Double)? {
            orders.reduce(nil as (order: [Int], loss: Double)?) { best, order in
                let columns = Array(0..<first) + order.map { $0 < 0 ? RoundingLoss.zeroColumn : first + $0 }
                let found = loss(x, order: columns)
                return found < best?.loss ?? least ? (order, found) : best
            }
        }
        let identity = Array(0..<count), whole = loss(x), w = loss.columns
        let descending = identity.sorted { (own[$1], $0) < (own[$0], $1) }
        var orders = [descending, descending.reversed()]
        // The largest channels in blocks with those that are missed least.
        let large = descending.prefix { own[$0] > 4 * own.median }
        let unit = TensorEncoding.blockColumns
        let fill = large.isEmpty ? 0 : (unit - large.count % unit) % unit
        let isLarge = Set(large)
        let others = identity.filter { !isLarge.contains($0) }
        let least = others.sorted { (own[$0] * w[first + $0], $0) < (own[$1] * w[first + $1], $1) }.prefix(fill)
        let isFill = Set(least)
        let remaining = others.filter { !isFill.contains($0) }
        if !large.isEmpty { orders += [remaining + least + large, large + least + remaining] }
        let plain = best(orders, below: whole * (1 - RoundingLoss.leastGain))
        order = plain?.order ?? identity

        // The largest few alone in the last block.
        let added = Self.added(attention: first, channels: count)
        let withMore = [1, 2, 4, 8, 16, 32, 64].filter { $0 < count }.flatMap { number in
            let isAlone = Set(descending.prefix(number))
            return [identity, descending].map { order in
                order.filter { !isAlone.contains($0) }
                    + Array(repeating: RoundingLoss.zeroColumn, count: added - (Self.alone - number))
                    + descending.prefix(number)
                    + Array(repeating: RoundingLoss.zeroColumn, count: Self.alone - number)
            }
        }
        let reached = plain?.loss ?? whole
        let more = best(withMore, below: reached * (1 - RoundingLoss.leastGain))
        padded = more?.order
        needsMore = more.map { $0.loss < reached * (1 - Self.leastGainOfMore) } ?? false
    }

    /// Whether the order is other than the checkpoint's.
    var isChanged: Bool { order != Array(order.indices) }

    /// Takes the order with more channels, or adds them at the end.
    mutating func add(_ count: Int) {
        order = padded ?? order + Array(repeating: RoundingLoss.zeroColumn, count: count)
    }
}
