import PhiFormat

/// What stands before a model's names in its checkpoint: before those of the body, and of the modules outside it.
struct Prefixes: Hashable {
    let body: String
    let outside: String
}

/// A checkpoint's tensors by the names of one naming scheme below one choice of prefixes, for the whole checkpoint.
///
/// Programs put more before a model's names, or leave some out: `module.` by data parallelism, `base_model.model.` by PEFT,
/// `state_dict/` by trainers, `model.` once more or not at all. Any prefix is taken below which a whole model stands, first those
/// that Hugging Face takes, and none where two do. Names of wrappers that stand anywhere, ``wrappers``, are left out first.
struct TensorNames {
    let table: NameTable
    let prefixes: Prefixes
    /// By their names without wrappers.
    let tensors: [String: StoredTensor]

    /// Modules that torch.compile, fully sharded training and activation checkpointing put around others.
    private static let wrappers: Set<Substring> = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"]
    /// The most models in one checkpoint that are told apart.
    private static let candidateLimit = 16

    /// Finds scheme and prefixes for a model of `layers` blocks. Throws ``FormatError`` about `place` when no scheme fits, or two
    /// models are there.
    init(_ stored: [String: StoredTensor], layers: Int, in place: FilePath) throws(FormatError) {
        var tensors = stored
        for (name, tensor) in stored.sorted(by: { $0.key < $1.key }) {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.contains(where: Self.wrappers.contains) else { continue }
            let plain = parts.filter { !Self.wrappers.contains($0) }.joined(separator: ".")
            if stored[plain] != nil { continue }  // a copy beside the one that Hugging Face takes
            tensors[name] = nil
            if let other = tensors.updateValue(tensor, forKey: plain) {
                throw FormatError(place, "holds both \(other.name.shown) and \(name.shown), which are one tensor")
            }
        }
        self.tensors = tensors
        /// How many of `names` there are below `body`, in steps linear in the fewer of names and tensors.
        func hits(_ names: Set<String>, below body: String) -> Int {
            if names.count <= tensors.count { return names.count { tensors[body + $0] != nil } }
            return tensors.keys.count {
                $0.utf8.starts(with: body.utf8) && names.contains(String(Substring($0.utf8.dropFirst(body.utf8.count))))
            }
        }

        var best: (hits: Int, table: NameTable, body: String)?
        var complete: [(table: NameTable, body: String)] = []
        let all = Parameter.all(layers: layers)
        for table in NameTable.all {
            let inside = all.filter { !table.isOutside($0.module) && !table.lacks($0) }
            let names = Set(inside.map { table.name(of: $0, layers: layers, Prefixes(body: "", outside: "")) })
            let anchors: [Parameter] = [.weight(.embedding), .weight(.norm(0)), .weight(.query(0)), .bias(.fc1(0))]
            let bodies = try Self.prefixes(of: anchors, table, layers, tensors, place)
            for body in bodies {
                let found = hits(names, below: body)
                if found == names.count { complete.append((table, body)) }
                if found > best?.hits ?? 0 { best = (found, table, body) }
            }
        }
        let usual = complete.filter { table, body in
            ["", table.body, table.body + table.body].contains(body)
                && stored[table.name(of: .weight(.embedding), layers: layers, Prefixes(body: body, outside: ""))] != nil
        }
        if !usual.isEmpty { complete = usual }
        guard complete.count < 2 else {
            let (one, other) = (complete[0].body.shown, complete[1].body.shown)
            throw FormatError(place, "holds two models, below \(one) and \(other); keep one of them")
        }
        guard let (table, body) = complete.first ?? best.map({ ($0.table, $0.body) }) else {
            guard let example = stored.keys.min() else { throw FormatError(place, "holds no tensors") }
            let known = NameTable.all.map {
                $0.name(of: .weight(.query(0)), layers: layers, Prefixes(body: $0.body, outside: ""))
            }
            throw FormatError(
                place,
                "unrecognised tensor naming, such as \(example.shown); known schemes: \(known.joined(separator: ", "))")
        }
        self.table = table

        // The head stands beside the body, whose own prefix may be missing, or inside it; or anywhere, if it is the only one.
        let outer = body.hasSuffix(table.body) ? String(body.dropLast(table.body.utf8.count)) : body
        let heads = try Self.prefixes(of: [.weight(.head), .bias(.head)], table, layers, tensors, place)
        let beside = [outer, body].first(where: heads.contains)
        if beside == nil, heads.count > 1 {
            throw FormatError(place, "holds two heads, below \(heads[0].shown) and \(heads[1].shown); keep one of them")
        }
        prefixes = Prefixes(body: body, outside: beside ?? heads.first ?? outer)
    }

    /// What stands before the names of these parameters, each of which is there; sorted by length, the shortest first.
    private static func prefixes(
        of parameters: [Parameter], _ table: NameTable, _ layers: Int, _ tensors: [String: StoredTensor],
        _ place: FilePath
    ) throws(FormatError) -> [String] {
        let suffixes = parameters.map { table.name(of: $0, layers: layers, Prefixes(body: "", outside: "")) }
        var found: Set<String> = []
        for name in tensors.keys {
            for suffix in suffixes where name.hasSuffix(suffix) {
                let prefix = name.dropLast(suffix.count)
                if prefix.isEmpty || prefix.hasSuffix(".") || prefix.hasSuffix("/") { found.insert(String(prefix)) }
            }
            guard found.count <= candidateLimit else {
                throw FormatError(place, "holds tensors of more than \(candidateLimit) models")
            }
        }
        return found.sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    }

    /// Buffers that old checkpoints carry and that follow from the config: the rotary embedding's frequencies.
    static func isSkipped(_ name: String) -> Bool { name.hasSuffix("rotary_emb.inv_freq") }
}
