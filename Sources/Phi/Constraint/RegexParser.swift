/// A recursive-descent parser of regular expressions, in the syntax that Python's `re` and ECMAScript share, whose characters are code
/// points here. What the two read as different sets of texts is refused; what only one of them has, a group's name by `(?P<` or `(?<`, or
/// a brace or bracket that needs no backslash, is as there.
///
/// Classes such as `\d` are those of ASCII, and their complements leave out what either takes for one of the class anywhere in
/// Unicode, so that both match each text. A lazy quantifier is as the greedy one, since the set of texts is the same.
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
    private var names: Set<ExactText> = []

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
        guard let least else {
            place = start
            throw fault("has a {, without a least number, which ECMAScript does not take for a repetition: write {0,")
        }
        return (least, most)
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
        // ECMAScript's, all of which Python's takes too.
        case ".": return .scalars(ScalarSet(["\n", "\r", "\u{2028}", "\u{2029}"]).inverted)
        case "\\": return .scalars(try escape(inClass: false))
        case "*", "+", "?": throw fault("has nothing to repeat")
        case "{":
            place -= 1
            guard try quantifier() == nil else { throw fault("has nothing to repeat") }
            place += 1
            return .scalars(ScalarSet([scalar]))
        default: return .scalars(ScalarSet([scalar]))
        }
    }

    private mutating func group() throws(OptionError) -> TextExpression {
        if skip("?") {
            let isPython = skip("P")
            if skip("<") {
                try name()
            } else if isPython || !skip(":") {
                throw fault("has a (? that is no group with or without a name, which is not supported")
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

    /// A group's name and its `>`.
    private mutating func name() throws(OptionError) {
        guard let first = next, first != "=", first != "!" else { throw fault("looks behind, which is not supported") }
        var name = String.UnicodeScalarView()
        while let scalar = next, scalar != ">" {
            name.append(scalar)
            place += 1
        }
        let letters = name.dropFirst().allSatisfy {
            $0.properties.isAlphabetic || $0 == "_" || ("0"..."9").contains($0)
        }
        guard skip(">"), letters, first.properties.isAlphabetic || first == "_" else {
            throw fault("has a group whose name is none")
        }
        guard names.insert(ExactText(String(name))).inserted else { throw fault("has two groups of one name") }
    }

    private mutating func characterClass() throws(OptionError) -> ScalarSet {
        let isInverted = skip("^"), start = place
        guard next != "]" else {
            throw fault("has a class that begins with ], which ECMAScript takes for its end: write \\]")
        }
        var ranges: [ClosedRange<UInt32>] = []
        while next != "]" {
            let low = try member(isSubtracted: isInverted)
            guard place + 1 < scalars.count, scalars[place] == "-", scalars[place + 1] != "]" else {
                ranges += low.ranges
                continue
            }
            place += 1
            let high = try member(isSubtracted: isInverted)
            guard low.ranges.count == 1, high.ranges.count == 1, let first = low.ranges.first,
                let last = high.ranges.first, first.count == 1, last.count == 1,
                first.lowerBound <= last.lowerBound
            else { throw fault("has a range that is none") }
            ranges.append(first.lowerBound...last.lowerBound)
        }
        // A class and its complement are everything, such as [\s\S].
        let letters = Self.classLetters(in: scalars[start..<place])
        let isAll = ["dD", "wW", "sS"].contains { $0.unicodeScalars.allSatisfy(letters.contains) }
        place += 1
        let set = isAll ? .all : ScalarSet(ranges)
        return isInverted ? set.inverted : set
    }

    private static func classLetters(in members: ArraySlice<Unicode.Scalar>) -> Set<Unicode.Scalar> {
        var letters: Set<Unicode.Scalar> = []
        var isEscaped = false
        for scalar in members {
            if isEscaped { letters.insert(scalar) }
            isEscaped = !isEscaped && scalar == "\\"
        }
        return letters
    }

    private mutating func member(isSubtracted: Bool) throws(OptionError) -> ScalarSet {
        guard let scalar = next else { throw fault("has a [ without its ]") }
        place += 1
        return scalar == "\\" ? try escape(inClass: true, isSubtracted: isSubtracted) : ScalarSet([scalar])
    }

    /// The scalars that every engine takes for one of a class, and those that some engine does.
    private struct Class {
        let all, some: ScalarSet

        /// What the class stands for, so that the text matches in each engine; `isSubtracted`: in a class that begins with `^`.
        func set(isSubtracted: Bool) -> ScalarSet { isSubtracted ? some : all }
        /// Likewise its complement.
        func complement(isSubtracted: Bool) -> ScalarSet { (isSubtracted ? all : some).inverted }
    }

    /// Whole scripts that have digits of their own are taken for digits beyond ASCII: an automaton has states for each range.
    private static let digit = Class(
        all: ScalarSet([0x30...0x39]),
        some: ScalarSet([
            0x30...0x39, 0x660...0x1C59, 0xA620...0xABF9, 0xFF10...0xFF19, 0x104A0...0x104A9, 0x10D30...0x11DA9,
            0x16A60...0x16B59, 0x1CCF0...0x1CCF9, 0x1D7CE...0x1D7FF, 0x1E140...0x1E959, 0x1FBF0...0x1FBF9,
        ]))
    /// Beyond ASCII, all but usual punctuation, signs and pictures is taken for letters and digits.
    private static let word = Class(
        all: ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]),
        some: ScalarSet([
            0x00...0x2F, 0x3A...0x40, 0x5B...0x5E, 0x60...0x60, 0x7B...0xA9, 0xAB...0xB1, 0xB4...0xB4, 0xB6...0xB8,
            0xBB...0xBB, 0xBF...0xBF, 0xD7...0xD7, 0xF7...0xF7, 0x2000...0x206F, 0x20A0...0x20C0, 0x2190...0x23FF,
            0x2500...0x2775, 0x2794...0x2BFF, 0x3000...0x3004, 0x3008...0x3020, 0x1F300...0x1FAFF,
        ]).inverted)
    /// Python's and ECMAScript's.
    private static let space = Class(
        all: ScalarSet([0x09...0x0D, 0x20...0x20]),
        some: ScalarSet([
            0x09...0x0D, 0x1C...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029,
            0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
        ]))

    private mutating func escape(inClass: Bool, isSubtracted: Bool = false) throws(OptionError) -> ScalarSet {
        guard let scalar = next else { throw fault("ends with a backslash") }
        place += 1
        switch scalar {
        case "d": return Self.digit.set(isSubtracted: isSubtracted)
        case "D": return Self.digit.complement(isSubtracted: isSubtracted)
        case "w": return Self.word.set(isSubtracted: isSubtracted)
        case "W": return Self.word.complement(isSubtracted: isSubtracted)
        case "s": return Self.space.set(isSubtracted: isSubtracted)
        case "S": return Self.space.complement(isSubtracted: isSubtracted)
        case "n": return ScalarSet(["\n"])
        case "r": return ScalarSet(["\r"])
        case "t": return ScalarSet(["\t"])
        case "f": return ScalarSet(["\u{C}"])
        case "v": return ScalarSet(["\u{B}"])
        case "0":
            if let next, ("0"..."9").contains(next) { throw fault("has an octal escape, which is not supported") }
            return ScalarSet(["\0"])
        case "b" where inClass: return ScalarSet(["\u{8}"])
        case "x": return ScalarSet([try scalarOf(digits: 2)])
        case "u": return ScalarSet([try scalarOf(digits: 4)])
        case "1"..."9":
            throw fault(inClass ? "has an octal escape, which is not supported" : "refers back, which is not supported")
        case "a"..."z", "A"..."Z": throw fault("has the escape \\\(scalar), which is not supported")
        default: return ScalarSet([scalar])
        }
    }

    private mutating func scalarOf(digits: Int) throws(OptionError) -> Unicode.Scalar {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[place...].prefix(digits))
        guard text.count == digits, text.allSatisfy({ Character($0).isHexDigit }),
            let value = UInt32(String(text), radix: 16)
        else { throw fault("has an escape without its \(digits) digits") }
        guard let scalar = Unicode.Scalar(value) else {
            throw fault("has an escape of half a surrogate pair, which is not supported")
        }
        place += digits
        return scalar
    }
}
