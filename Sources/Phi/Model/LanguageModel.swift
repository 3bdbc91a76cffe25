import PhiFormat
import PhiTokenizer

/// A phi model, mapped from a `.phi` file and ready to run.
///
/// ```swift
/// let model = try LanguageModel(contentsOf: "model.phi")
/// let session = try Session(model)
/// let result = try session.complete("def fibonacci(n):", GenerationOptions(maximumTokens: 64))
/// print(result.text)
/// ```
///
/// Opening takes the same time for any size: weights are read where they lie when they are first used. A model is
/// immutable and may serve any number of sessions on any threads.
public final class LanguageModel: Sendable {
    /// Its shape.
    public let config: ModelConfig
    /// Its tokenizer.
    public let tokenizer: Tokenizer
    /// The file that it lies in.
    public let file: PhiFile
    /// The kernels that it runs on.
    public let kernels: Kernels
    /// Whether pages of weights are given back as soon as they have been used, for a model that runs once.
    let releasesPages: Bool
    let weights: Weights

    /// Maps the file at `path`. Throws `FormatError` when it is not a sound `.phi` file of a phi model, and
    /// ``KernelsError`` when `PHI_ISA` asks for kernels that cannot be had.
    ///
    /// A path is a string, so that who imports the engine does not load Foundation; for a file URL, pass its `path`.
    public convenience init(contentsOf path: String, kernels: Kernels? = nil) throws {
        try self.init(PhiFile(MappedFile(path: path)), kernels: kernels)
    }

    /// Takes an opened file. Throws `FormatError` when it does not hold a phi model, and ``KernelsError`` when `PHI_ISA`
    /// asks for kernels that cannot be had.
    public convenience init(_ file: PhiFile, kernels: Kernels? = nil) throws {
        try self.init(file, kernels: kernels ?? .fromEnvironment(), releasesPages: false)
    }

    package init(_ file: PhiFile, kernels: Kernels, releasesPages: Bool) throws(FormatError) {
        self.kernels = kernels
        self.releasesPages = releasesPages
        self.file = file
        config = try Self.config(of: file)
        tokenizer = try Self.tokenizer(of: file)
        guard tokenizer.vocabulary.count == config.vocabulary else {
            throw FormatError(
                file.path,
                "the tokenizer has \(tokenizer.vocabulary.count) tokens, the config \(config.vocabulary)")
        }
        weights = try Weights(file, config)
    }

    /// Bytes of weights that each decoded token reads.
    public var bytesPerToken: Int { weights.bytesPerToken }

    /// Where the file comes from: a JSON object for people, as `phi convert` wrote it.
    public var provenance: String? {
        file.section(SectionName.provenance).map { String(decoding: file.bytes(of: $0), as: UTF8.self) }
    }

    /// The encoding of the blocks' matrices, by which a file is called `q4` or `q8`.
    public var encoding: TensorEncoding { weights.blocks.first?.inputProjection.encoding ?? weights.head.encoding }

    /// The default encoding of a session's KV cache: exact for f32, 8 bits for weights of fewer, which lose more than that, else
    /// f16.
    public var cacheEncoding: CacheEncoding {
        switch encoding.bitsPerWeight {
        case ..<8: .q8
        case ..<32: .f16
        default: .f32
        }
    }

    /// The shape alone. Throws `FormatError` when it breaks a rule.
    public static func config(of file: PhiFile) throws(FormatError) -> ModelConfig {
        let bytes = try plainSection(SectionName.config, of: file)
        do throws(ModelConfigError) {
            return try ModelConfig(section: bytes)
        } catch {
            throw FormatError(file.path, "config: \(error.fault)")
        }
    }

    /// The tokenizer alone, which takes no time to open. Throws `FormatError` when it breaks a rule.
    public static func tokenizer(of file: PhiFile) throws(FormatError) -> Tokenizer {
        let bytes = try plainSection(SectionName.tokenizer, of: file)
        do throws(TokenizerError) {
            return Tokenizer(try Vocabulary(section: bytes))
        } catch {
            throw FormatError(file.path, "tokenizer: \(error.fault)")
        }
    }

    /// What the file asks a reader to reproduce, if it does. Throws `FormatError` when the section breaks a rule.
    package func tests() throws(FormatError) -> ModelTests? {
        guard file.section(SectionName.tests) != nil else { return nil }
        return try ModelTests(section: Self.plainSection(SectionName.tests, of: file), of: file.path, config)
    }

    private static func plainSection(_ name: String, of file: PhiFile) throws(FormatError) -> UnsafeRawBufferPointer {
        guard let section = file.section(name) else { throw FormatError(file.path, "has no section \(name)") }
        guard section.encodingNumber == 0 else {
            throw FormatError(file.path, "\(name) has encoding \(section.encodingNumber), not 0")
        }
        return file.bytes(of: section)
    }
}
