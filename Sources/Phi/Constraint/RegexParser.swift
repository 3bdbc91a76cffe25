/// A recursive-descent parser of regular expressions, in the syntax that Python's `re` and ECMAScript share.
///
/// Classes such as `\d` are those of ASCII. A lazy quantifier is as the greedy one, since the set of texts is the same.
/// `^` and `$` stand at the ends of the pattern's alternatives only.
struct RegexParser {
    /// The texts that match as a whole, or that contain a match if `searches` unless `^` and `$` bind them.
    static func parse(
        _ pattern: String, searches: Bool = false, any: TextExpression = .sequence([])
    ) throws(OptionError) -> TextExpression {
        var parser = RegexParser(pattern)
        var alternatives: [TextExpression] = []
        repeat {
            let isBoundAtStart = parser.skip("^")
            let body = try parser.sequence()
            let isBoundAtEnd = parser.skip("$")
            alternatives.append(
                searches
                    ? .sequence((isBoundAtStart ? [] : [any]) + [body] + (isBoundAtEnd ? [] : [any])) : body)
        } while parser.skip("|")
        guard let next = parser.next else { return .choice(alternatives) }
        throw parser.fault(next == ")" ? "has a ) without its (" : "has ^ or $ within an alternative")
    }

    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var depth = 0

    private static let depthLimit = 64

    private init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

    private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        place += 1
        return true
    }

    private func fault(_ what: String) -> OptionError {
        OptionError(fault: "the regular expression \(what), at character \(place)")
    }

    private mutating func alternatives() throws(OptionError) -> TextExpression {
        var all = [try sequence()]
        while skip("|") { all.append(try sequence()) }
        return all.count == 1 ? all[0] : .choice(all)
    }

    private mutating func sequence() throws(OptionError) -> TextExpression {
        var items: [TextExpression] = []
        while let scalar = next, !"|)^$".unicodeScalars.contains(scalar) {
            let atom = try atom()
            items.append(try quantified(atom))
        }
        return items.count == 1 ? items[0] : .sequence(items)
    }

    private mutating func quantified(_ atom: TextExpression) throws(OptionError) -> TextExpression {
        guard let (least, most) = try quantifier() else { return atom }
        if let most, most < least { throw fault("repeats at least \(least) and at most \(most) times") }
        _ = skip("?")
        let start = place
        if skip("+") { throw fault("has a possessive quantifier, which is not supported") }
        if try quantifier() != nil {
            place = start
            throw fault("repeats a repetition; use a group")
        }
        return .repeated(atom, least: least, most: most)
    }

    private mutating func quantifier() throws(OptionError) -> (Int, Int?)? {
        if skip("*") { return (0, nil) }
        if skip("+") { return (1, nil) }
        if skip("?") { return (0, 1) }
        // A brace that begins no quantifier is a character.
        let start = place
        guard skip("{") else { return nil }
        let least = try number()
        let hasComma = skip(",")
        let most = hasComma ? try number() : least
        guard skip("}"), hasComma || least != nil else {
            place = start
            return nil
        }
        return (least ?? 0, most)
    }

    private mutating func number() throws(OptionError) -> Int? {
        let start = place
        while let scalar = next, ("0"..."9").contains(scalar) { place += 1 }
        guard place > start else { return nil }
        var digits = String.UnicodeScalarView()
        digits.append(contentsOf: scalars[start..<place])
        guard let number = Int(String(digits)), number <= AutomatonBuilder.nodeLimit else {
            throw fault("repeats more than \(AutomatonBuilder.nodeLimit) times")
        }
        return number
    }

    private mutating func atom() throws(OptionError) -> TextExpression {
        guard let scalar = next else { throw fault("ends early") }
        place += 1
        switch scalar {
        case "(": return try group()
        case "[": return .scalars(try characterClass())
        case ".": return .scalars(ScalarSet(["\n"]).inverted)
        case "\\": return .scalars(try escape(inClass: false))
        case "*", "+", "?": throw fault("has nothing to repeat")
        default: return .scalars(ScalarSet([scalar]))
        }
    }

    private mutating func group() throws(OptionError) -> TextExpression {
        if skip("?") {
            _ = skip("P")
            if skip("<") {
                guard let first = next, first.properties.isAlphabetic || first == "_" else {
                    throw fault("looks behind, which is not supported")
                }
                while let scalar = next, scalar != ">" { place += 1 }
                guard skip(">") else { throw fault("has a name without an end") }
            } else if !skip(":") {
                throw fault("looks ahead, refers back or has flags, which is not supported")
            }
        }
        guard depth < Self.depthLimit else { throw fault("nests deeper than \(Self.depthLimit)") }
        depth += 1
        let body = try alternatives()
        depth -= 1
        guard skip(")") else {
            throw fault(next == nil ? "has a ( without its )" : "has ^ or $ within a group, which is not supported")
        }
        return body
    }

    private mutating func characterClass() throws(OptionError) -> ScalarSet {
        let isInverted = skip("^")
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while isFirst || next != "]" {
            isFirst = false
            let low = try member()
            guard place + 1 < scalars.count, scalars[place] == "-", scalars[place + 1] != "]" else {
                ranges += low.ranges
                continue
            }
            place += 1
            let high = try member()
            guard low.ranges.count == 1, high.ranges.count == 1, let first = low.ranges.first,
                let last = high.ranges.first, first.count == 1, last.count == 1,
                first.lowerBound <= last.lowerBound
            else { throw fault("has a range that is none") }
            ranges.append(first.lowerBound...last.lowerBound)
        }
        place += 1
        let set = ScalarSet(ranges)
        return isInverted ? set.inverted : set
    }

    private mutating func member() throws(OptionError) -> ScalarSet {
        guard let scalar = next else { throw fault("has a [ without its ]") }
        place += 1
        return scalar == "\\" ? try escape(inClass: true) : ScalarSet([scalar])
    }

    private static let digit = ScalarSet([0x30...0x39])
    private static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    private static let space = ScalarSet([0x09...0x0D, 0x20...0x20])

    private mutating func escape(inClass: Bool) throws(OptionError) -> ScalarSet {
        guard let scalar = next else { throw fault("ends with a backslash") }
        place += 1
        switch scalar {
        case "d": return Self.digit
        case "D": return Self.digit.inverted
        case "w": return Self.word
        case "W": return Self.word.inverted
        case "s": return Self.space
        case "S": return Self.space.inverted
        case "n": return ScalarSet(["\n"])
        case "r": return ScalarSet(["\r"])
        case "t": return ScalarSet(["\t"])
        case "f": return ScalarSet(["\u{C}"])
        case "v": return ScalarSet(["\u{B}"])
        case "0": return ScalarSet(["\0"])
        case "b" where inClass: return ScalarSet(["\u{8}"])
        case "x": return ScalarSet([try scalarOf(digits: 2)])
        case "u": return ScalarSet([try scalarOf(digits: 4)])
        case "1"..."9": throw fault("refers back, which is not supported")
        case "a"..."z", "A"..."Z": throw fault("has the escape \\\(scalar), which is not supported")
        default: return ScalarSet([scalar])
        }
    }

    private mutating func scalarOf(digits: Int) throws(OptionError) -> Unicode.Scalar {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[place...].prefix(digits))
        guard text.count == digits, text.allSatisfy({ Character($0).isHexDigit }),
            let scalar = UInt32(String(text), radix: 16).flatMap(Unicode.Scalar.init)
        else { throw fault("has an escape without its \(digits) digits") }
        place += digits
        return scalar
    }
}
