/// A regular expression over module names, as peft's `rank_pattern` and `alpha_pattern` have them: Python's syntax without
/// look-around, back references and flags.
///
/// The pattern comes from a file, so it is matched by a simulation of its automaton (Thompson 1968), in steps linear in the
/// pattern and the name: a backtracking matcher can be made to run for ever.
package struct ModulePattern {
    /// A step of the automaton: it takes a byte, or goes on to others without one.
    private enum Step {
        case byte(ByteSet)
        case split(Int, Int)
        case start, end
    }

    private var steps: [Step] = []
    /// What it costs to keep and to match.
    var stepCount: Int { 1 + steps.count }

    /// The most steps of one pattern.
    private static let stepLimit = 4096

    /// Nil if the pattern has something that is not supported, or more than 4096 steps.
    package init?(_ pattern: String) {
        var parser = Parser(bytes: Array(pattern.utf8)[...])
        guard let node = parser.choice(depth: 0), parser.bytes.isEmpty else { return nil }
        var budget = Self.stepLimit
        guard emit(node, &budget) else { return nil }
    }

    /// Whether the pattern matches all of `name`, or all that follows one of its dots, as peft looks for modules. Subtracts the
    /// steps taken from `stepsLeft`.
    package func matches(_ name: String, stepsLeft: inout Int) -> Bool {
        let bytes = Array(name.utf8)
        var states: [Int] = []
        var isThere = [Bool](repeating: false, count: steps.count + 1)
        func add(_ state: Int, at index: Int) {
            var waiting = [state]
            while let state = waiting.popLast() {
                guard !isThere[state] else { continue }
                isThere[state] = true
                states.append(state)
                guard state < steps.count else { continue }
                switch steps[state] {
                case .byte: break
                case .split(let one, let other): waiting += [one, other]
                case .start: if index == 0 { waiting.append(state + 1) }
                case .end: if index == bytes.count { waiting.append(state + 1) }
                }
            }
        }
        for index in 0...bytes.count {
            if index == 0 || bytes[index - 1] == UInt8(ascii: ".") { add(0, at: index) }
            stepsLeft -= 1 + states.count
            guard index < bytes.count else { break }
            let next = states.filter { state in
                guard state < steps.count, case .byte(let set) = steps[state] else { return false }
                return set.contains(bytes[index])
            }
            for state in states { isThere[state] = false }
            states = []
            for state in next { add(state + 1, at: index + 1) }
        }
        return isThere[steps.count]
    }

    /// Appends a node's steps; false if they are too many.
    private mutating func emit(_ node: Node, _ budget: inout Int) -> Bool {
        budget -= 1
        guard budget >= 0 else { return false }
        switch node {
        case .byte(let set): steps.append(.byte(set))
        case .start: steps.append(.start)
        case .end: steps.append(.end)
        case .sequence(let nodes):
            for node in nodes { guard emit(node, &budget) else { return false } }
        case .choice(let one, let other):
            let split = steps.count
            steps.append(.split(split + 1, 0))
            guard emit(one, &budget) else { return false }
            let jump = steps.count
            steps.append(.split(0, 0))
            steps[split] = .split(split + 1, steps.count)
            guard emit(other, &budget) else { return false }
            steps[jump] = .split(steps.count, steps.count)
        case .repeated(let node, let least, let most):
            for _ in 0..<least { guard emit(node, &budget) else { return false } }
            if let most {
                for _ in least..<max(least, most) {
                    guard emit(.choice(node, .sequence([])), &budget) else { return false }
                }
            } else {
                let split = steps.count
                steps.append(.split(0, 0))
                guard emit(node, &budget) else { return false }
                steps.append(.split(split, split))
                steps[split] = .split(split + 1, steps.count)
            }
        }
        return true
    }
}

/// A set of byte values.
private struct ByteSet {
    private var words = SIMD4<UInt64>.zero

    init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
    }

    var inverted: ByteSet {
        var set = self
        set.words = ~words
        return set
    }

    /// Its byte, if it has one alone.
    var only: UInt8? {
        let all = (UInt8.min...UInt8.max).filter(contains)
        return all.count == 1 ? all[0] : nil
    }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    mutating func formUnion(_ other: ByteSet) { words |= other.words }
}

/// A part of a pattern.
private indirect enum Node {
    case byte(ByteSet)
    case start, end
    case sequence([Node])
    case choice(Node, Node)
    /// `most` is nil for any number.
    case repeated(Node, least: Int, most: Int?)
}

/// A recursive descent over a pattern; its functions return nil for what is not supported.
private struct Parser {
    var bytes: ArraySlice<UInt8>

    private static let depthLimit = 64
    private static let repetitionLimit = 1000
    private static let digits = ByteSet("0123456789".utf8)
    private static let wordBytes = ByteSet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz".utf8)
    private static let spaces = ByteSet(" \t\n\u{B}\u{C}\r".utf8)
    private static let newline = ByteSet("\n".utf8)

    private mutating func take(_ character: Character) -> Bool {
        guard bytes.first == character.asciiValue else { return false }
        bytes.removeFirst()
        return true
    }

    mutating func choice(depth: Int) -> Node? {
        guard depth <= Self.depthLimit, var node = sequence(depth: depth) else { return nil }
        while take("|") {
            guard let other = sequence(depth: depth) else { return nil }
            node = .choice(node, other)
        }
        return node
    }

    private mutating func sequence(depth: Int) -> Node? {
        var nodes: [Node] = []
        while let byte = bytes.first, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            guard let atom = atom(depth: depth), let node = repeated(atom) else { return nil }
            nodes.append(node)
        }
        return .sequence(nodes)
    }

    private mutating func atom(depth: Int) -> Node? {
        switch bytes.popFirst() {
        case UInt8(ascii: "("):
            if take("?"), !take(":") { return nil }
            guard let node = choice(depth: depth + 1), take(")") else { return nil }
            return node
        case UInt8(ascii: "["): return set().map { .byte($0) }
        case UInt8(ascii: "."): return .byte(Self.newline.inverted)
        case UInt8(ascii: "^"): return .start
        case UInt8(ascii: "$"): return .end
        case UInt8(ascii: "\\"): return escape().map { .byte($0) }
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), nil: return nil
        case let byte?: return .byte(ByteSet([byte]))
        }
    }

    /// What follows a backslash: a class, or punctuation.
    private mutating func escape() -> ByteSet? {
        guard let byte = bytes.popFirst() else { return nil }
        switch Character(Unicode.Scalar(byte)) {
        case "d": return Self.digits
        case "D": return Self.digits.inverted
        case "w": return Self.wordBytes
        case "W": return Self.wordBytes.inverted
        case "s": return Self.spaces
        case "S": return Self.spaces.inverted
        default: return Self.wordBytes.contains(byte) || byte >= 0x80 ? nil : ByteSet([byte])
        }
    }

    private mutating func set() -> ByteSet? {
        let isInverted = take("^")
        var set = ByteSet([])
        var isFirst = true
        while isFirst || bytes.first != UInt8(ascii: "]") {
            isFirst = false
            guard let byte = bytes.popFirst() else { return nil }
            var item = ByteSet([byte])
            if byte == UInt8(ascii: "\\") {
                guard let escaped = escape() else { return nil }
                item = escaped
            }
            if bytes.first == UInt8(ascii: "-"), bytes.count > 1, bytes[bytes.startIndex + 1] != UInt8(ascii: "]") {
                bytes.removeFirst()
                guard let low = item.only, let high = bytes.popFirst(), high != UInt8(ascii: "\\"),
                    low <= high
                else { return nil }
                item = ByteSet(low...high)
            }
            set.formUnion(item)
        }
        bytes.removeFirst()
        return isInverted ? set.inverted : set
    }

    private mutating func repeated(_ node: Node) -> Node? {
        var result = node
        if take("*") {
            result = .repeated(node, least: 0, most: nil)
        } else if take("+") {
            result = .repeated(node, least: 1, most: nil)
        } else if take("?") {
            result = .repeated(node, least: 0, most: 1)
        } else if bytes.first == UInt8(ascii: "{") {
            bytes.removeFirst()
            let least = number()
            var most = least
            if take(",") { most = number() } else if least == nil { return nil }
            guard take("}"), least ?? 0 <= Self.repetitionLimit, most ?? 0 <= Self.repetitionLimit,
                most.map({ $0 >= least ?? 0 }) ?? true
            else { return nil }
            result = .repeated(node, least: least ?? 0, most: most)
        } else {
            return node
        }
        _ = take("?")  // the shortest match is a match
        // One repetition may not follow another.
        return [UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?")].contains(bytes.first) ? nil : result
    }

    private mutating func number() -> Int? {
        let digits = bytes.prefix(while: Self.digits.contains)
        bytes = bytes[digits.endIndex...]
        return digits.isEmpty ? nil : digits.count > 4 ? Int.max : Int(String(decoding: digits, as: UTF8.self))
    }
}
