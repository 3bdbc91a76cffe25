/// Compiles expressions to an ``Automaton``: Thompson's construction (Commun. ACM 11, 1968), then the subset construction (Rabin
/// and Scott 1959), rule by rule, with calls of rules as letters beside the bytes.
///
/// Both are bounded, so that a pattern whose automaton would be large is refused early.
struct AutomatonBuilder {
    /// Nodes of the nondeterministic automaton.
    static let nodeLimit = 1 << 18
    /// Entries of the table.
    static let tableLimit = 1 << 22
    /// Nodes visited by the subset construction.
    static let workLimit = 1 << 22

    /// A node of the nondeterministic automaton.
    private enum Node {
        case bytes(ClosedRange<UInt8>, next: Int32)
        case rule(Int, next: Int32)
        case either(Int32, Int32)
        /// The end of its rule.
        case accept
        /// None of the next nodes.
        case fail
    }

    private var nodes: [Node] = []
    private var steps = 0
    private var work = 0

    /// By class of bytes, and by rule, the nodes that follow a set of them.
    private struct State {
        var plain: [Int32] = []  // [classes], -1 where there is none
        var rules: [(rule: Int, target: Int32)] = []
        var isAccepting = false
    }

    private var classes = [UInt8](repeating: 0, count: 256)
    private var classCount = 1
    private var states: [State] = []
    private var numbers: [[Int32]: Int32] = [:]
    private var sets: [[Int32]] = []
    private var marks: [Int32] = []

    /// The automaton of the texts of `rules[0]`. Throws ``OptionError`` when it would be too large, has no text, or cannot tell
    /// by the next byte whether a rule begins.
    static func automaton(of rules: [TextExpression]) throws(OptionError) -> Automaton {
        var builder = AutomatonBuilder()
        return try builder.build(rules)
    }

    private static let tooLarge = OptionError(
        fault: "the constraint is too large: use fewer and smaller repetitions, lengths or alternatives")

    private mutating func build(_ rules: [TextExpression]) throws(OptionError) -> Automaton {
        var starts: [Int32] = []
        for rule in rules {
            let accept = try node(.accept)
            starts.append(try add(rule, next: accept))
        }
        findClasses()
        marks = [Int32](repeating: -1, count: nodes.count)
        var first: [Int32] = []
        for start in starts { first.append(try state(of: [start])) }
        var number = 0
        while number < sets.count {
            try expand(number)
            number += 1
        }
        sets = []
        let need = need(first)
        guard need[Int(first[0])] <= Automaton.depthLimit else {
            throw OptionError(fault: "there is no text that the constraint allows")
        }
        return try table(first, need)
    }

    // MARK: Nondeterministic automaton

    private mutating func node(_ node: Node) throws(OptionError) -> Int32 {
        guard nodes.count < Self.nodeLimit else { throw Self.tooLarge }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// Adds the nodes of `expression` in front of `next`, and returns the first.
    private mutating func add(_ expression: TextExpression, next: Int32) throws(OptionError) -> Int32 {
        steps += 1
        guard steps <= Self.nodeLimit else { throw Self.tooLarge }
        switch expression {
        case .scalars(let set):
            return try add(set, next: next)
        case .sequence(let items):
            var next = next
            for item in items.reversed() { next = try add(item, next: next) }
            return next
        case .choice(let items):
            var starts: [Int32] = []
            for item in items { starts.append(try add(item, next: next)) }
            return try either(starts)
        case .repeated(let item, let least, let most):
            var start = next
            if let most {
                for _ in 0..<max(0, most - least) { start = try either([add(item, next: start), next]) }
            } else {
                start = try node(.fail)
                nodes[Int(start)] = .either(try add(item, next: start), next)
            }
            for _ in 0..<least { start = try add(item, next: start) }
            return start
        case .joined(let item, let separator, let least, let most):
            // What may follow after `number` items; without a maximum, after the least and any further one.
            var number = most ?? max(1, least)
            var rest = next
            var start = next
            if most == nil {
                rest = try node(.fail)
                start = try add(item, next: rest)
                nodes[Int(rest)] = .either(try add(separator, next: start), next)
            } else {
                start = try add(item, next: rest)
            }
            while number > 1 {
                number -= 1
                let further = try add(separator, next: start)
                rest = number < least ? further : try either([further, next])
                start = try add(item, next: rest)
            }
            return start
        case .list(let items, let separator):
            // The start where an item came before, and where none did.
            var (some, none) = (next, next)
            for (item, isRequired) in items.reversed() {
                let start = try add(item, next: some)
                let separated = try add(separator, next: start)
                some = isRequired ? separated : try either([separated, some])
                none = isRequired ? start : try either([start, none])
            }
            return none
        case .rule(let rule):
            return try node(.rule(rule, next: next))
        }
    }

    /// Adds the nodes of a scalar; those of equal last bytes are shared.
    private mutating func add(_ set: ScalarSet, next: Int32) throws(OptionError) -> Int32 {
        struct Suffix: Hashable {
            let bytes: ClosedRange<UInt8>
            let next: Int32
        }
        var known: [Suffix: Int32] = [:]
        var starts: [Int32] = []
        for sequence in set.utf8 {
            var start = next
            for (index, bytes) in sequence.enumerated().reversed() {
                let suffix = Suffix(bytes: bytes, next: start)
                let new = if let node = known[suffix] { node } else { try node(.bytes(bytes, next: start)) }
                if index > 0 { known[suffix] = new }
                start = new
            }
            starts.append(start)
        }
        return try either(starts)
    }

    private mutating func either(_ starts: [Int32]) throws(OptionError) -> Int32 {
        guard var all = starts.last else { return try node(.fail) }
        for start in starts.dropLast().reversed() { all = try node(.either(start, all)) }
        return all
    }

    // MARK: Deterministic automaton

    private mutating func findClasses() {
        var begins = [Bool](repeating: false, count: 257)
        for case .bytes(let bytes, _) in nodes {
            begins[Int(bytes.lowerBound)] = true
            begins[Int(bytes.upperBound) + 1] = true
        }
        var last: UInt8 = 0
        for byte in 1..<256 {
            if begins[byte] { last += 1 }
            classes[byte] = last
        }
        classCount = Int(last) + 1
    }

    /// The number of the state of `nodes` and of those that follow them without a byte.
    private mutating func state(of start: [Int32]) throws(OptionError) -> Int32 {
        let mark = Int32(truncatingIfNeeded: work)
        var (set, pending): ([Int32], [Int32]) = ([], start)
        while let index = pending.popLast() {
            guard marks[Int(index)] != mark else { continue }
            marks[Int(index)] = mark
            work += 1
            switch nodes[Int(index)] {
            case .either(let first, let second): pending += [second, first]
            case .fail: break
            case .bytes, .rule, .accept: set.append(index)
            }
        }
        work += 1
        guard work <= Self.workLimit else { throw Self.tooLarge }
        set.sort()
        if let number = numbers[set] { return number }
        guard (states.count + 1) * classCount <= Self.tableLimit else { throw Self.tooLarge }
        let number = Int32(states.count)
        numbers[set] = number
        sets.append(set)
        states.append(State())
        return number
    }

    /// Finds the states that follow one.
    private mutating func expand(_ number: Int) throws(OptionError) {
        var byClass = [[Int32]](repeating: [], count: classCount)
        var byRule: [Int: [Int32]] = [:]
        for index in sets[number] {
            switch nodes[Int(index)] {
            case .bytes(let bytes, let next):
                for part in classes[Int(bytes.lowerBound)]...classes[Int(bytes.upperBound)] {
                    byClass[Int(part)].append(next)
                }
                work += Int(classes[Int(bytes.upperBound)] - classes[Int(bytes.lowerBound)]) + 1
                guard work <= Self.workLimit else { throw Self.tooLarge }
            case .rule(let rule, let next): byRule[rule, default: []].append(next)
            case .accept: states[number].isAccepting = true
            case .either, .fail: break
            }
        }
        var plain = [Int32](repeating: -1, count: classCount)
        var known: [[Int32]: Int32] = [:]
        for (part, next) in byClass.enumerated() where !next.isEmpty {
            let target = if let target = known[next] { target } else { try state(of: next) }
            known[next] = target
            plain[part] = target
        }
        states[number].plain = plain
        for (rule, next) in byRule.sorted(by: { $0.key < $1.key }) {
            states[number].rules.append((rule, try state(of: next)))
        }
    }

    // MARK: Table

    /// How much the stack must grow from each state before its rule can end; above the limit if it cannot. By Knuth's
    /// generalisation of Dijkstra's algorithm (Inf. Process. Lett. 6, 1977).
    private func need(_ first: [Int32]) -> [Int] {
        let none = Automaton.depthLimit + 1
        var before = [[Int32]](repeating: [], count: states.count)
        var callers = [[(state: Int32, begin: Int32, back: Int32)]](repeating: [], count: states.count)
        for (number, state) in states.enumerated() {
            for target in Set(state.plain) where target >= 0 { before[Int(target)].append(Int32(number)) }
            for (rule, back) in state.rules {
                for end in [first[rule], back] { callers[Int(end)].append((Int32(number), first[rule], back)) }
            }
        }
        var need = [Int](repeating: none, count: states.count)
        var pending = [[Int32]](repeating: [], count: none)
        pending[0] = states.indices.filter { states[$0].isAccepting }.map(Int32.init)
        for level in 0..<none {
            while let number = pending[level].popLast() {
                guard need[Int(number)] == none else { continue }
                need[Int(number)] = level
                pending[level] += before[Int(number)]
                for (caller, begin, back) in callers[Int(number)] {
                    let least = max(need[Int(begin)] + 1, need[Int(back)])
                    if least < none { pending[least].append(caller) }
                }
            }
        }
        return need
    }

    private func table(_ first: [Int32], _ need: [Int]) throws(OptionError) -> Automaton {
        var table: [Int32] = []
        table.reserveCapacity(states.count * classCount)
        var calls: [Automaton.Call] = []
        var callNumbers: [Automaton.Call: Int32] = [:]
        func isAlive(_ state: Int32) -> Bool { state >= 0 && need[Int(state)] <= Automaton.depthLimit }
        for state in states {
            var row = state.plain.map { isAlive($0) ? $0 : -1 }
            for (rule, back) in state.rules where isAlive(back) {
                for (part, target) in states[Int(first[rule])].plain.enumerated() where isAlive(target) {
                    guard row[part] == -1 else {
                        throw OptionError(
                            fault:
                                "alternatives begin alike before a part that nests, so the next byte cannot tell them apart"
                        )
                    }
                    let call = Automaton.Call(target: target, back: back)
                    let number = callNumbers[call] ?? Int32(calls.count)
                    if callNumbers.updateValue(number, forKey: call) == nil { calls.append(call) }
                    row[part] = -2 - number
                }
            }
            table += row
        }
        return Automaton(
            classes: classes, classCount: classCount, table: table, calls: calls,
            isAccepting: states.map(\.isAccepting), need: need.map(UInt8.init), start: first[0])
    }
}
