import PhiFormat
import PhiTokenizer

/// A phi model in a memory-mapped `.phi` file.
///
/// ```swift
/// let model = try LanguageModel(contentsOf: "model.phi")
/// let session = try Session(model)
/// let result = try session.complete("def fibonacci(n):", GenerationOptions(maximumTokens: 64))
/// print(result.text)
/// ```
///
/// Opening checks the header, the config, the tokenizer and the shapes of all tensors, in the same time for any size.
/// It reads neither weights nor section hashes: `PhiFile/verify(progress:)`, ``verifyWeights()`` and
/// ``verifyTests()`` do, as does `phi verify`. Weights are used in place, so nothing may write into the
/// file; a new one can be renamed over it. A model is immutable and serves any number of sessions on any threads.
public final class LanguageModel: Sendable {
    /// The shape of the model.
    public let config: ModelConfig
    /// The tokenizer of the model.
    public let tokenizer: Tokenizer
    /// The tokens that begin and end its texts.
    public let textBounds: TextBounds
    /// The mapped file.
    public let file: PhiFile
    /// The kernels that compute its products.
    public let kernels: Kernels
    /// Whether pages of weights are released to the system after each use, for a model that runs once.
    let releasesPages: Bool
    let weights: Weights
    /// The constraints that completions were kept to lately.
    package let constraints = ConstraintCache()

    /// Maps the file at `path`. Throws `FormatError` when it is not a valid `.phi` file of a phi model, and
    /// ``KernelsError`` when the kernels that `PHI_ISA` names are not available.
    ///
    /// The path is a string so that the library does not import Foundation; for a file URL, pass its `path`.
    public convenience init(contentsOf path: String, kernels: Kernels? = nil) throws {
        try self.init(PhiFile(MappedFile(path: path)), kernels: kernels)
    }

    /// Creates a model from an opened file. Throws `FormatError` when it is not of a phi model, and ``KernelsError``
    /// when the kernels that `PHI_ISA` names are not available.
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
        textBounds = try Self.textBounds(of: file, config)
        weights = try Weights(file, config)
    }

    /// Number of bytes of weights read to decode a token.
    public var bytesPerToken: Int { weights.bytesPerToken }

    /// The origin of the file, an informative JSON object written by `phi convert`.
    public var provenance: String? {
        guard let section = file.section(SectionName.provenance), section.encodingNumber == 0 else { return nil }
        return String(decoding: file.bytes(of: section), as: UTF8.self)
    }

    /// The encoding of the transformer blocks' matrices.
    public var encoding: TensorEncoding { weights.blocks.first?.inputProjection.encoding ?? weights.head.encoding }

    /// The default encoding of sessions' KV caches: f32 for f32 weights, q8 for weights of less than 8 bits, whose
    /// quantisation loses more, and f16 for the others.
    public var cacheEncoding: CacheEncoding {
        switch encoding.bitsPerWeight {
        case ..<8: .q8
        case ..<32: .f16
        default: .f32
        }
    }

    /// Reads the config of a file. Throws `FormatError` when it is invalid.
    public static func config(of file: PhiFile) throws(FormatError) -> ModelConfig {
        let bytes = try plainSection(SectionName.config, of: file)
        do throws(ModelConfigError) {
            return try ModelConfig(section: bytes)
        } catch {
            throw FormatError(file.path, "config: \(error.fault)")
        }
    }

    /// Reads the tokenizer of a file, without its model. Throws `FormatError` when it is invalid.
    public static func tokenizer(of file: PhiFile) throws(FormatError) -> Tokenizer {
        let bytes = try plainSection(SectionName.tokenizer, of: file)
        do throws(TokenizerError) {
            return Tokenizer(try Vocabulary(section: bytes))
        } catch {
            throw FormatError(file.path, "tokenizer: \(error.fault)")
        }
    }

    /// Whether its tokenizer and that of `other` are the same.
    package func hasTokenizer(of other: LanguageModel) -> Bool {
        guard let own = file.section(SectionName.tokenizer), let section = other.file.section(SectionName.tokenizer)
        else {
            return false
        }
        return file.bytes(of: own).elementsEqual(other.file.bytes(of: section))
    }

    private static func textBounds(of file: PhiFile, _ config: ModelConfig) throws(FormatError) -> TextBounds {
        guard file.section(SectionName.generation) != nil else { return TextBounds(config) }
        let bytes = try plainSection(SectionName.generation, of: file)
        do throws(ModelConfigError) {
            return try TextBounds(section: bytes, config)
        } catch {
            throw FormatError(file.path, "generation: \(error.fault)")
        }
    }

    /// Reads the file's section `tests`, if it has one. Throws `FormatError` when it is invalid.
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
