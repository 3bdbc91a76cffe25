import PhiFormat
import PhiJSON

/// A LoRA adapter's `adapter_config.json` (peft, `src/peft/tuners/lora/config.py`), as far as merging depends on it.
struct AdapterConfig {
    let file: ReadableFile
    private let keys: Keys
    private let patterns: [(pattern: ModulePattern, alpha: Double)]
    /// Steps of matching that are left to all modules together.
    private var stepsLeft = 1 << 23
    /// The most steps of all patterns.
    private static let stepLimit = 1 << 16

    /// Reads the file in `directory`. Throws ``FormatError`` when it is missing or damaged, and by name for every kind of
    /// adapter whose weights are more than a product of two matrices.
    init(directory: FilePath) throws(FormatError) {
        switch PathKind(directory) {
        case .directory: break
        case .missing(let fault): throw FormatError(directory, fault + " or directory")
        default: throw FormatError(directory, "is not a directory; give the one that holds the adapter's files")
        }
        guard let file = try openIfPresent(directory, CheckpointFiles.adapterConfig) else {
            throw FormatError(directory, "holds no adapter: no adapter_config.json")
        }
        keys = try JSONText.decode(Keys.self, from: file)
        self.file = file
        var patterns: [(pattern: ModulePattern, alpha: Double)] = []
        var steps = 0
        for (text, alpha) in (keys.alpha_pattern ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let pattern = ModulePattern(text) else {
                throw FormatError(
                    file.path, "alpha_pattern \(text.shown) is no regular expression that is supported")
            }
            steps += pattern.stepCount
            guard steps <= Self.stepLimit else { throw Self.tooMany(file) }
            patterns.append((pattern, alpha))
        }
        self.patterns = patterns
        guard keys.peft_type?.uppercased() == "LORA" else {
            throw FormatError(file.path, "peft_type \((keys.peft_type ?? "").shown) is not supported, only LORA is")
        }
        let flags = [
            ("use_dora", keys.use_dora == true), ("use_qalora", keys.use_qalora == true),
            ("use_bdlora", keys.use_bdlora != nil), ("layer_replication", keys.layer_replication != nil),
            ("alora_invocation_tokens", keys.alora_invocation_tokens != nil), ("kasa_config", keys.kasa_config != nil),
            ("monteclora_config", keys.monteclora_config != nil), ("arrow_config", keys.arrow_config != nil),
        ]
        if let name = flags.first(where: \.1)?.0 {
            throw FormatError(file.path, "\(name) is set; \(Self.advice)")
        }
        if case .named(let name)? = keys.init_lora_weights, !Self.harmlessStarts.contains(name.lowercased()) {
            throw FormatError(
                file.path,
                "init_lora_weights is \(name.shown), which changes the base model's weights too; \(Self.advice)")
        }
    }

    /// What to do about an adapter that cannot be merged here.
    static let advice = "merge this adapter with peft's merge_and_unload first"

    /// Names of ways to choose the first matrices that leave the base model's weights as they are. Others, such as PiSSA and OLoRA,
    /// take the first product from them, and peft does so again when it loads the adapter.
    private static let harmlessStarts = ["gaussian", "eva", "orthogonal", "mica"]

    /// The name of the model that the adapter was made of, as its trainer was given it.
    var baseModel: String? { keys.base_model_name_or_path }

    /// Whether peft keeps head and embedding one tensor.
    var tiesWeights: Bool { keys.ensure_weight_tying == true }

    /// The factor of the update of `module`, whose matrices have rank `rank`.
    mutating func scaling(of module: String, rank: Int) throws(FormatError) -> Float {
        // peft takes the first pattern that matches; more than one with different values would depend on their order.
        var alphas: Set<Double> = []
        for (pattern, alpha) in patterns where pattern.matches(module, stepsLeft: &stepsLeft) { alphas.insert(alpha) }
        guard stepsLeft >= 0 else { throw Self.tooMany(file) }
        guard alphas.count < 2 else {
            throw FormatError(file.path, "alpha_pattern has several values for \(module.shown)")
        }
        guard let alpha = alphas.first ?? keys.lora_alpha, alpha.isFinite else {
            throw FormatError(file.path, "has no finite lora_alpha")
        }
        let divisor = keys.use_rslora == true ? Double(rank).squareRoot() : Double(rank)
        return Float(alpha / divisor)
    }

    private static func tooMany(_ file: ReadableFile) -> FormatError {
        FormatError(file.path, "has an alpha_pattern of more expressions than any adapter's")
    }

    private struct Keys: Decodable {
        let peft_type: String?
        let lora_alpha: Double?
        let alpha_pattern: [String: Double]?
        let use_rslora: Bool?
        let use_dora: Bool?
        let use_qalora: Bool?
        let ensure_weight_tying: Bool?
        let use_bdlora: JSONText.Anything?
        let init_lora_weights: Start?
        let base_model_name_or_path: String?
        let layer_replication: JSONText.Anything?
        let alora_invocation_tokens: JSONText.Anything?
        let kasa_config: JSONText.Anything?
        let monteclora_config: JSONText.Anything?
        let arrow_config: JSONText.Anything?
    }

    /// A way to choose the first matrices: true and false leave the choice to the module.
    private enum Start: Decodable {
        case standard, named(String)

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            self = if let name = try? value.decode(String.self) { .named(name) } else { .standard }
        }
    }
}
