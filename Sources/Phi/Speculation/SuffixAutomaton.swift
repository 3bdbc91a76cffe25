import PhiTokenizer

/// The suffix automaton of a token sequence that grows (Blumer et al. 1985, DOI 10.1016/0304-3975(85)90157-4): it knows all
/// subsequences, and where each was last seen.
///
///     var automaton = SuffixAutomaton(capacity: 2048)
///     for token in [7, 8, 9, 7, 8] { automaton.append(token) }
///     automaton.match   // length 2; [7, 8] has been seen before, and 9 followed
///
/// Complexity: amortised constant time for each token. Memory: at most 2 states and 3 edges for each token, 104 bytes together
/// with the table that finds edges.
package struct SuffixAutomaton {
    /// The sequence.
    package private(set) var tokens: [TokenID] = []
    /// The longest suffix of the sequence that also occurs earlier.
    package private(set) var match = Match(length: 0, next: 0)

    /// A suffix of a sequence that occurs elsewhere.
    package struct Match: Equatable {
        /// Number of its tokens; 0 if there is no such suffix.
        package let length: Int
        /// Index of the token that followed where it occurred.
        package let next: Int
    }

    /// A set of subsequences with the same occurrences. Number 0 is the empty one.
    private struct State {
        /// Length of its longest subsequence.
        var length: Int32
        /// The state of that one's longest suffix with more occurrences; -1 for the empty subsequence.
        var link: Int32
        /// Index of the token that followed a late occurrence, of those before the sequence's end.
        var next: Int32
        /// The first of its edges; -1 if there are none.
        var edge: Int32
    }

    /// A token that follows a state's subsequences.
    private struct Edge {
        let state: Int32
        let token: TokenID
        var target: Int32
        /// The state's next edge; -1 after the last.
        let following: Int32
    }

    private var states = [State(length: 0, link: -1, next: 0, edge: -1)]
    private var edges: [Edge] = []
    private var table: [Int32]  // [a power of two], edges by the hash of state and token, -1 where there is none
    private var last = 0

    /// Creates the automaton of the empty sequence, with memory for `capacity` tokens; more are possible.
    package init(capacity: Int) {
        tokens.reserveCapacity(capacity)
        states.reserveCapacity(2 * capacity + 1)
        edges.reserveCapacity(3 * capacity)
        table = [Int32](repeating: -1, count: Self.tableSize(edges: 3 * capacity))
    }

    private static func tableSize(edges: Int) -> Int {
        var size = 64
        while size < edges + edges / 3 { size *= 2 }
        return size
    }

    /// Number of states.
    package var stateCount: Int { states.count }

    /// Appends a token.
    package mutating func append(_ token: TokenID) {
        let new = states.count
        states.append(State(length: states[last].length + 1, link: 0, next: 0, edge: -1))
        var state = last
        var found = edge(from: state, token)
        while found == nil {
            addEdge(from: state, token, to: new)
            state = Int(states[state].link)
            if state < 0 { break }
            found = edge(from: state, token)
        }
        if let found {
            var target = Int(edges[found].target)
            if states[target].length != states[state].length + 1 {
                target = split(target, length: states[state].length + 1, from: state, token)
            }
            states[new].link = Int32(target)
        }
        last = new
        tokens.append(token)
        updateMatch(to: Int(states[new].link))
    }

    /// Makes `state`, which was seen before, the match, and the sequence's end its last occurrence and that of its suffixes: of
    /// the longest ones, since all would take longer than constant time.
    private mutating func updateMatch(to state: Int) {
        match = Match(length: Int(states[state].length), next: Int(states[state].next))
        var suffix = state
        for _ in 0..<8 where suffix > 0 {
            states[suffix].next = Int32(tokens.count)
            suffix = Int(states[suffix].link)
        }
        states[last].next = Int32(tokens.count)
    }

    /// Separates the subsequences of `target` of at most `length` tokens, which from now on have more occurrences, and
    /// returns their state. Edges with `token` lead there from `state` and its suffixes.
    private mutating func split(_ target: Int, length: Int32, from state: Int, _ token: TokenID) -> Int {
        let new = states.count
        let old = states[target]
        states.append(State(length: length, link: old.link, next: old.next, edge: -1))
        var copied = Int(old.edge)
        while copied >= 0 {
            addEdge(from: new, edges[copied].token, to: Int(edges[copied].target))
            copied = Int(edges[copied].following)
        }
        states[target].link = Int32(new)
        var state = state
        while state >= 0, let found = edge(from: state, token), edges[found].target == target {
            edges[found].target = Int32(new)
            state = Int(states[state].link)
        }
        return new
    }

    // MARK: Edges

    /// Returns the state that follows `state` with `token`.
    func target(from state: Int, _ token: TokenID) -> Int? { edge(from: state, token).map { Int(edges[$0].target) } }

    /// Returns the state of the longest suffix of `state` with more occurrences, nil for the empty one, and the suffix's length.
    func suffix(of state: Int) -> (state: Int, length: Int)? {
        let link = Int(states[state].link)
        return link < 0 ? nil : (link, Int(states[link].length))
    }

    /// Calls `body` with each token that follows `state` and the state it leads to.
    func forEachEdge(from state: Int, _ body: (_ token: TokenID, _ target: Int) -> Void) {
        var edge = Int(states[state].edge)
        while edge >= 0 {
            body(edges[edge].token, Int(edges[edge].target))
            edge = Int(edges[edge].following)
        }
    }

    private func edge(from state: Int, _ token: TokenID) -> Int? {
        var slot = slot(state, token)
        while table[slot] >= 0 {
            let edge = Int(table[slot])
            if edges[edge].state == state, edges[edge].token == token { return edge }
            slot = (slot + 1) & (table.count - 1)
        }
        return nil
    }

    private mutating func addEdge(from state: Int, _ token: TokenID, to target: Int) {
        let edge = Edge(state: Int32(state), token: token, target: Int32(target), following: states[state].edge)
        states[state].edge = Int32(edges.count)
        edges.append(edge)
        if 4 * edges.count > 3 * table.count {
            table = [Int32](repeating: -1, count: 2 * table.count)
            for number in edges.indices { enter(number) }
        } else {
            enter(edges.count - 1)
        }
    }

    private mutating func enter(_ edge: Int) {
        var slot = slot(Int(edges[edge].state), edges[edge].token)
        while table[slot] >= 0 { slot = (slot + 1) & (table.count - 1) }
        table[slot] = Int32(edge)
    }

    private func slot(_ state: Int, _ token: TokenID) -> Int {
        let key = UInt64(UInt32(truncatingIfNeeded: state)) << 32 | UInt64(UInt32(bitPattern: token))
        return Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & (table.count - 1)
    }

    // MARK: Occurrences

    /// Returns the number of occurrences of each state's subsequences.
    package func occurrences() -> [Int32] {
        var counts = [Int32](repeating: 0, count: states.count)
        // The states of the sequence's prefixes: from the empty one along the sequence's tokens.
        var state = 0
        for token in tokens {
            guard let next = target(from: state, token) else { break }
            state = next
            counts[state] += 1
        }
        // Longer subsequences first: each also is an occurrence of its suffix.
        for state in statesByLength.reversed() where state > 0 {
            counts[Int(states[Int(state)].link)] += counts[Int(state)]
        }
        return counts
    }

    /// All states, those of shorter subsequences first.
    private var statesByLength: [Int32] {
        var places = [Int32](repeating: 0, count: tokens.count + 2)
        for state in states { places[Int(state.length) + 1] += 1 }
        for length in places.indices.dropFirst() { places[length] += places[length - 1] }
        var sorted = [Int32](repeating: 0, count: states.count)
        for (number, state) in states.enumerated() {
            sorted[Int(places[Int(state.length)])] = Int32(number)
            places[Int(state.length)] += 1
        }
        return sorted
    }
}
