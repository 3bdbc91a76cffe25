/// The names of the sections of a `.phi` file (`Formats/phi-file.md`, 2).
package enum SectionName {
    package static let config = "config"
    package static let tokenizer = "tokenizer"
    package static let generation = "generation"
    package static let embedding = "embedding.weight"
    package static let normWeight = "norm.weight"
    package static let normBias = "norm.bias"
    package static let headWeight = "head.weight"
    package static let headBias = "head.bias"
    package static let provenance = "provenance"
    package static let tests = "tests"

    package static func blockNormWeight(_ n: Int) -> String { "block.\(n).norm.weight" }
    package static func blockNormBias(_ n: Int) -> String { "block.\(n).norm.bias" }
    package static func inputProjectionWeight(_ n: Int) -> String { "block.\(n).in.weight" }
    package static func inputProjectionBias(_ n: Int) -> String { "block.\(n).in.bias" }
    package static func outputProjectionWeight(_ n: Int) -> String { "block.\(n).out.weight" }
    package static func outputProjectionBias(_ n: Int) -> String { "block.\(n).out.bias" }
}
