extension JSONExpressions {
    /// The largest number of digits of a whole number.
    private static let digitLimit = 16
    private static let largest = 9_999_999_999_999_999

    private static var nonZero: TextExpression { .one(of: "123456789") }
    private static var whole: TextExpression {
        .choice([.one(of: "0"), .sequence([nonZero, .digits(0, digitLimit - 1)])])
    }
    private static var maybeMinus: TextExpression { .optional(.one(of: "-")) }
    private static var fraction: TextExpression { .sequence([.one(of: "."), .digits(1, digitLimit)]) }

    /// Any number.
    static var number: TextExpression {
        .sequence([
            maybeMinus, whole, .optional(fraction),
            .optional(.sequence([.one(of: "eE"), .optional(.one(of: "+-")), .digits(1, 2)])),
        ])
    }

    /// The whole numbers of a range; without a bound, those of 16 digits at most.
    static func integer(_ low: Int?, _ high: Int?) -> TextExpression {
        let (low, high) = (max(low ?? .min, -largest), min(high ?? .max, largest))
        var choices: [TextExpression] = []
        if low < 0, low <= high { choices.append(.sequence([.one(of: "-"), digits(max(1, -high), -low)])) }
        if low <= 0, high >= 0 { choices.append(.one(of: "0")) }
        choices.append(digits(max(1, low), high))
        return .choice(choices)
    }

    /// A bound of numbers.
    struct Bound {
        let value: Int
        let isExclusive: Bool
    }

    /// The largest size of a bound of numbers, which with six digits behind the point is far from other numbers' rounding.
    static let boundLimit = 1_000_000_000
    private static let fractionLimit = 6

    /// The numbers of a range, without exponents and with up to six digits behind the point.
    static func number(_ low: Bound?, _ high: Bound?) -> TextExpression {
        func opposite(_ bound: Bound) -> Bound { Bound(value: -bound.value, isExclusive: bound.isExclusive) }
        var choices: [TextExpression] = []
        if low.map({ $0.value < 0 }) ?? true {
            // From above zero, which is written without a sign.
            let nearest = high.flatMap { $0.value < 0 ? opposite($0) : nil } ?? Bound(value: 0, isExclusive: true)
            choices.append(.sequence([.one(of: "-"), magnitude(nearest, low.map(opposite))]))
        }
        if high.map({ $0.value >= 0 }) ?? true {
            let nearest = low.flatMap { $0.value >= 0 ? $0 : nil } ?? Bound(value: 0, isExclusive: false)
            choices.append(magnitude(nearest, high))
        }
        return .choice(choices)
    }

    /// The numbers from `low`, of 0 or more, up to `high`.
    private static func magnitude(_ low: Bound, _ high: Bound?) -> TextExpression {
        func zeros(_ least: Int, _ most: Int) -> TextExpression { .repeated(.one(of: "0"), least: least, most: most) }
        let maybeZero = TextExpression.optional(.sequence([.one(of: "."), zeros(1, fractionLimit)]))
        let maybeFraction = TextExpression.optional(.sequence([.one(of: "."), .digits(1, fractionLimit)]))
        let aboveZero = TextExpression.choice(
            (0..<fractionLimit).map {
                .sequence([.one(of: "."), zeros($0, $0), nonZero, .digits(0, fractionLimit - 1 - $0)])
            })
        var choices: [TextExpression] = []
        let end = high?.value ?? largest + 1
        guard low.value < end else {
            let isOne = low.value == end && !low.isExclusive && high?.isExclusive == false
            return isOne ? .sequence([wholes(end, end), maybeZero]) : .choice([])
        }
        if low.isExclusive { choices.append(.sequence([wholes(low.value, low.value), aboveZero])) }
        choices.append(.sequence([wholes(low.value + (low.isExclusive ? 1 : 0), end - 1), maybeFraction]))
        if let high, !high.isExclusive { choices.append(.sequence([wholes(end, end), maybeZero])) }
        return .choice(choices)
    }

    /// The whole numbers from `low`, of 0 or more, to `high`.
    private static func wholes(_ low: Int, _ high: Int) -> TextExpression {
        .choice((low == 0 && high >= 0 ? [.one(of: "0")] : []) + [digits(max(1, low), high)])
    }

    /// The whole numbers from `low`, of 1 or more, to `high`.
    private static func digits(_ low: Int, _ high: Int) -> TextExpression {
        var choices: [TextExpression] = []
        var (first, last) = (1, 9)
        for _ in 1...digitLimit {
            let (from, to) = (max(low, first), min(high, last))
            if from <= to { choices.append(digits(Array(String(from).utf8)[...], Array(String(to).utf8)[...])) }
            (first, last) = (10 * first, 10 * last + 9)
        }
        return .choice(choices)
    }

    /// The numbers between two of equally many digits.
    private static func digits(_ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>) -> TextExpression {
        guard let (a, b) = low.first.flatMap({ a in high.first.map { (a, $0) } }) else { return .sequence([]) }
        let (low, high) = (low.dropFirst(), high.dropFirst())
        func digit(_ range: ClosedRange<UInt8>) -> TextExpression {
            .scalars(ScalarSet([UInt32(range.lowerBound)...UInt32(range.upperBound)]))
        }
        if a == b { return .sequence([digit(a...a), digits(low, high)]) }
        let (zeros, nines) = (low.map { _ in UInt8(ascii: "0") }, high.map { _ in UInt8(ascii: "9") })
        var (a2, b2) = (a, b)
        var choices: [TextExpression] = []
        if !low.elementsEqual(zeros) {
            choices.append(.sequence([digit(a...a), digits(low, nines[...])]))
            a2 += 1
        }
        if !high.elementsEqual(nines) {
            choices.append(.sequence([digit(b...b), digits(zeros[...], high)]))
            b2 -= 1
        }
        if a2 <= b2 { choices.append(.sequence([digit(a2...b2), .digits(low.count, low.count)])) }
        return .choice(choices)
    }
}
