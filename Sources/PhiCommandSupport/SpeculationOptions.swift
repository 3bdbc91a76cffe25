import ArgumentParser
import Phi
import PhiFormat

/// The options of speculation.
package struct SpeculationOptions: ParsableArguments {
    @Flag(
        help: """
            Choose every token before the next is computed. By default, tokens that are likely to come are drafted where that \
            pays; results are the same.
            """)
    package var noSpeculate = false

    @Option(
        help: """
            A text, for example one's own code, that drafts are taken from too, beside prompt and output: at most 16 MiB and \
            4 million tokens, which take up to 0.6 GB of memory and some ten seconds.
            """)
    package var draftCorpus: FilePath?

    @Option(help: "A smaller .phi file with the same tokenizer that drafts too.")
    package var draftModel: FilePath?

    package init() {}

    package func validate() throws {
        if noSpeculate, draftCorpus != nil || draftModel != nil {
            throw ValidationError("--no-speculate excludes --draft-corpus and --draft-model.")
        }
    }

    /// The speculation of an engine of `model`.
    package func speculation(_ model: LanguageModel) throws -> Speculation {
        if noSpeculate { return .off }
        var speculation = Speculation.automatic
        if let draftModel {
            let draft = try LanguageModel(PhiFile(MappedFile(draftModel)))
            guard draft.hasTokenizer(of: model) else {
                throw FormatError(
                    draftModel, "has another tokenizer than \(model.file.path); a draft model needs the same")
            }
            speculation.draftModel = draft
        }
        if let draftCorpus {
            let text = try ReadableFile(draftCorpus).readAll(limit: 1 << 24)
            let tokens = model.tokenizer.encode(bytes: text, specialTokens: false)
            guard tokens.count <= DraftCorpus.mostTokens else {
                throw FormatError(
                    draftCorpus,
                    "has \(tokens.count) tokens, a corpus may have \(DraftCorpus.mostTokens); take a part of it")
            }
            speculation.corpus = DraftCorpus(tokens)
        }
        return speculation
    }
}
