import Phi
import PhiFormat

/// A PEFT adapter of a phi model, LoRA or rank-stabilised LoRA (Kalajdzievski 2023, arXiv 2312.03732), opened and checked: a
/// directory with `adapter_config.json` and `adapter_model.safetensors` or `.bin`. Its modules may be named in any of the
/// naming schemes, whatever that of the base model is.
///
/// It updates weights by products of two matrices, and may replace others, such as biases and the head, by its own.
package struct Adapter: Sendable {
    package let files: [ReadableFile]
    package let directory: FilePath
    /// The factor of its update.
    package let weight: Float
    /// The name of the model that it was made of, if it has one.
    package let baseModel: String?
    private let factors = LowRankFactors()
    private(set) var updates: [Parameter: LowRankUpdate] = [:]
    /// What is added to biases (`lora_bias`), with its factor.
    private var biasUpdates: [Parameter: (tensor: StoredTensor, scaling: Float, table: NameTable)] = [:]
    private(set) var replaced: [Parameter: (tensor: StoredTensor, table: NameTable)] = [:]

    /// Opens the adapter in `directory` for `base`, scaled by `weight`. Throws ``FormatError`` with the first fault, also when
    /// the adapter has a tensor that merging would have to leave out.
    package init(directory: FilePath, of base: CheckpointModel, weight: Float = 1) throws(FormatError) {
        let config = base.config
        var settings = try AdapterConfig(directory: directory)
        let stored = try Self.tensors(in: directory)
        (self.directory, self.weight, baseModel) = (directory, weight, settings.baseModel)
        files = [settings.file, stored.file]
        var tensors: [String: StoredTensor] = [:]
        for tensor in stored.tensors {
            if let other = tensors.updateValue(tensor, forKey: Self.plainName(tensor.name)) {
                throw FormatError(
                    stored.file.path, "has \(tensor.name.shown) and \(other.name.shown) for one parameter")
            }
        }
        guard let naming = try Self.naming(of: tensors.keys, base, in: stored.file) else {
            let example = stored.tensors.map(\.name).min() ?? ""
            throw FormatError(stored.file.path, "is not of a phi model: it has \(example.shown)")
        }
        let table = naming.table

        for parameter in Parameter.all(layers: config.layers) {
            let name = table.name(of: parameter, layers: config.layers, naming.prefixes)
            let module = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            let rows = table.storedShape(of: parameter, config, paddedVocabulary: config.vocabulary)[0]
            let columns = config.shape(of: parameter).columns
            if let tensor = tensors[name] {
                try Self.check(tensor, rows, parameter.isVector ? nil : columns, isPadded: parameter.isOfVocabulary)
                replaced[parameter] = (tensor, table)
            }
            let pair: (a: StoredTensor, b: StoredTensor, isTransposed: Bool)?
            if case .bias = parameter {
                if let bias = tensors[module + ".lora_B.bias"], let a = tensors[module + ".lora_A.weight"] {
                    try Self.check(bias, rows, nil, isPadded: parameter.isOfVocabulary)
                    let scaling = weight * (try settings.scaling(of: module, rank: a.shape.first ?? 0))
                    biasUpdates[parameter] = (bias, scaling, table)
                }
                continue
            } else if let a = tensors[module + ".lora_A.weight"], let b = tensors[module + ".lora_B.weight"] {
                pair = (a, b, false)
            } else if let a = tensors[module + ".lora_embedding_A"], let b = tensors[module + ".lora_embedding_B"] {
                pair = (a, b, true)
            } else {
                pair = nil
            }
            guard let (a, b, isTransposed) = pair, a.shape.count == 2, b.shape.count == 2 else { continue }
            let rank = a.shape[0]
            guard rank > 0 else { throw FormatError(a.file.path, "tensor \(a.name.shown) is empty") }
            if isTransposed {
                try Self.check(a, rank, rows, isPadded: true, vocabularyIsLast: true)
                try Self.check(b, columns, rank)
            } else {
                try Self.check(a, rank, columns)
                try Self.check(b, rows, rank, isPadded: parameter.isOfVocabulary)
            }
            updates[parameter] = LowRankUpdate(
                a: a, b: b, isTransposed: isTransposed, rank: rank,
                scaling: weight * (try settings.scaling(of: module, rank: rank)), table: table)
        }
        let used = Set(
            updates.values.flatMap { [$0.a.name, $0.b.name] } + replaced.values.map(\.tensor.name)
                + biasUpdates.values.map(\.tensor.name))
        let leftOver = stored.tensors.map(\.name).filter { !used.contains($0) }.sorted()
        if let name = leftOver.first {
            throw FormatError(
                stored.file.path,
                "has tensor \(name.shown), which cannot be merged (\(leftOver.count) in all); \(AdapterConfig.advice)")
        }
        // peft then makes the head anew, without a bias, and so forgets the base model's.
        if base.hasTiedHead, settings.tiesWeights, replaced[.weight(.head)] != nil, replaced[.bias(.head)] == nil {
            throw FormatError(
                settings.file.path,
                "ensure_weight_tying is set, which takes the head's bias away; \(AdapterConfig.advice)")
        }
    }

    /// Whether it adds something to a parameter.
    func changes(_ parameter: Parameter) -> Bool { updates[parameter] != nil || biasUpdates[parameter] != nil }

    /// Adds the update of `rows` of a parameter to `floats`, [rows, columns], in f32.
    func update(
        _ parameter: Parameter, _ rows: Range<Int>, _ config: ModelConfig, in floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        if let update = biasUpdates[parameter] {
            let biases = try update.tensor.allFloats()
            for (number, row) in rows.enumerated() {
                floats[number] += update.scaling * biases[update.table.storedRow(row, of: parameter, config).row]
            }
        }
        guard let update = updates[parameter] else { return }
        let columns = config.shape(of: parameter).columns
        update.add(parameter, rows, config, to: floats, try factors.of(parameter, update, columns: columns))
    }

    private static func tensors(in directory: FilePath) throws(FormatError) -> (
        file: ReadableFile, tensors: [StoredTensor]
    ) {
        let weights = try CheckpointFiles.adapterWeights(where: presence(in: directory))
        guard let (container, name) = weights else { throw FormatError(directory, CheckpointFiles.noAdapter) }
        let file = try ReadableFile(directory.appending(name))
        return (file, try container.tensors(of: file))
    }

    /// A tensor's name without what peft adds to it.
    private static func plainName(_ name: String) -> String {
        var name = name
        for prefix in ["base_model.model.", "module."] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
        return name.replacing(".base_layer.", with: ".").replacing(".modules_to_save.default.", with: ".")
            .replacing(".lora_A.default.", with: ".lora_A.").replacing(".lora_B.default.", with: ".lora_B.")
    }

    /// A naming scheme, with or without the body's prefix, and the parameters by those of its names that an adapter has.
    private struct Naming {
        let table: NameTable
        let prefixes: Prefixes
        var parameters: [String: [Parameter]] = [:]
    }

    /// The scheme that most of the adapter's modules are in, of several the base model's; nil if none are in any. Throws
    /// ``FormatError`` when `base` cannot have such modules, or when they are different parameters by different schemes.
    private static func naming(
        of names: some Collection<String>, _ base: CheckpointModel, in file: ReadableFile
    ) throws(FormatError) -> Naming? {
        let modules = Set(
            names.map { name in
                [".lora_A.weight", ".lora_B.weight", ".lora_embedding_A", ".lora_embedding_B"].reduce(name) {
                    $0.hasSuffix($1) ? String($0.dropLast($1.count)) + ".weight" : $0
                }
            })
        let layers = base.config.layers
        let all = NameTable.all.flatMap { table in
            [table.body, ""].map { body in
                var naming = Naming(table: table, prefixes: Prefixes(body: body, outside: ""))
                for parameter in Parameter.all(layers: layers) {
                    let name = table.name(of: parameter, layers: layers, naming.prefixes)
                    if modules.contains(name) { naming.parameters[name, default: []].append(parameter) }
                }
                return naming
            }
        }
        guard let most = all.map(\.parameters.count).max(), most > 0 else { return nil }
        let best = all.filter { $0.parameters.count == most }
        let possible = best.filter { $0.table.fault(base.config) == nil }
        guard let first = possible.first else {
            throw FormatError(file.path, "is of another model: \(best[0].table.fault(base.config) ?? "")")
        }
        if let own = possible.first(where: { $0.table.scheme == base.naming }) { return own }
        if let other = possible.first(where: { $0.parameters != first.parameters }) {
            let schemes = "\(first.table.scheme.rawValue) and \(other.table.scheme.rawValue)"
            throw FormatError(
                file.path,
                "has tensors that are of different blocks by \(schemes) names; give the base model that it is of")
        }
        return first
    }

    private static func check(
        _ tensor: StoredTensor, _ rows: Int, _ columns: Int?, isPadded: Bool = false, vocabularyIsLast: Bool = false
    ) throws(FormatError) {
        let shape = [rows] + (columns.map { [$0] } ?? [])
        // The vocabulary may be padded; of an embedding's A it is the second dimension.
        let padded = vocabularyIsLast ? shape.count - 1 : 0
        var unpadded = tensor.shape
        if isPadded, unpadded.count == shape.count { unpadded[padded] = min(unpadded[padded], shape[padded]) }
        guard unpadded == shape else {
            throw FormatError(
                tensor.file.path, "tensor \(tensor.name.shown) has shape \(tensor.shape), not \(shape)")
        }
        if let refusal = tensor.refusal { throw FormatError(tensor.file.path, refusal) }
    }
}

extension Parameter {
    /// Whether it has a row for each token.
    fileprivate var isOfVocabulary: Bool { module == .embedding || module == .head }
}
