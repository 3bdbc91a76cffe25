/// A deterministic pushdown automaton over bytes: what may follow a text is known from its state and a stack of states.
///
/// The stack grows where a rule begins, by the state behind the rule, and shrinks where the rule ends. An automaton without rules
/// is a deterministic finite one. From every state that is reached, a text that is accepted can follow.
package struct Automaton: Sendable {
    /// The class of each byte; bytes of one class lead from any state to the same one.
    let classes: [UInt8]  // [256]
    let classCount: Int
    /// By state and class: the next state, -1 if there is none, or -2 - n for ``calls``' entry n.
    let table: [Int32]  // [states, classes]
    let calls: [Call]
    /// Whether a state may be the last, of the text or of its rule.
    package let isAccepting: [Bool]
    /// How much the stack must grow before a state's text or rule can end.
    let need: [UInt8]
    package let start: Int32

    /// The beginning of a rule: its state after the first byte, and the state behind the rule.
    struct Call: Hashable {
        let target: Int32
        let back: Int32
    }

    /// Rules within each other that a text may have.
    static let depthLimit = 64

    /// A state and the stack, as the index of its top in an ``AutomatonStack``; -1 if it is empty.
    package struct Position: Equatable {
        var state: Int32
        var top: Int32

        package init(state: Int32, top: Int32 = -1) { (self.state, self.top) = (state, top) }
    }

    /// The position that follows `position` with `byte`; nil if there is none.
    @inline(__always)
    package func next(_ position: Position, _ byte: UInt8, _ stack: inout AutomatonStack) -> Position? {
        var position = position
        let byteClass = Int(classes[Int(byte)])
        while true {
            let entry = table[Int(position.state) * classCount + byteClass]
            let depth = stack.depth(position.top)
            if entry >= 0 {
                position.state = entry
                return depth + Int(need[Int(entry)]) <= Self.depthLimit ? position : nil
            }
            if entry < -1 {
                let call = calls[Int(-2 - entry)]
                let least = max(1 + Int(need[Int(call.target)]), Int(need[Int(call.back)]))
                guard depth + least <= Self.depthLimit else { return nil }
                return Position(state: call.target, top: stack.push(call.back, on: position.top))
            }
            guard isAccepting[Int(position.state)], position.top >= 0 else { return nil }
            position = stack.pop(position.top)
        }
    }

    /// Whether the text so far is one of the automaton's.
    package func accepts(_ position: Position, _ stack: AutomatonStack) -> Bool {
        var position = position
        while isAccepting[Int(position.state)] {
            if position.top < 0 { return true }
            position = stack.pop(position.top)
        }
        return false
    }

    /// Bytes of memory.
    var bytes: Int { 4 * table.count + 8 * calls.count + 2 * need.count + classes.count }
}

/// The stacks of positions, as a tree: each node has a state to return to, and the node below.
package struct AutomatonStack {
    private struct Node {
        let back: Int32
        let below: Int32
        let depth: Int32
    }

    private var nodes: [Node] = []

    /// Creates empty stacks.
    package init() {}

    /// Number of states on the stack with this top.
    @inline(__always)
    func depth(_ top: Int32) -> Int { top < 0 ? 0 : Int(nodes[Int(top)].depth) }

    /// The top of the stack with one state more.
    mutating func push(_ back: Int32, on top: Int32) -> Int32 {
        nodes.append(Node(back: back, below: top, depth: Int32(depth(top)) + 1))
        return Int32(nodes.count - 1)
    }

    /// The position behind the rule.
    func pop(_ top: Int32) -> Automaton.Position {
        let node = nodes[Int(top)]
        return Automaton.Position(state: node.back, top: node.below)
    }

    /// The states of a stack, the top first.
    func states(_ top: Int32) -> [Int32] {
        var states: [Int32] = []
        var top = top
        while top >= 0 {
            states.append(nodes[Int(top)].back)
            top = nodes[Int(top)].below
        }
        return states
    }
}
