import Phi
import PhiFormat
import PhiTokenizer

extension ModelTests {
    /// Expected logits in a section, if the vocabulary has so many.
    private static let expectedCount = 5

    /// The tests that `model` passes: its tokens of `texts`, and after `prompt`, which is not empty and fits the context,
    /// its likeliest tokens. Throws `FormatError` when the logits are not finite or all the same.
    package static func make(
        model: LanguageModel, texts: [String], prompt: [TokenID]
    ) throws(FormatError) -> ModelTests {
        let logits = try model.logits(after: prompt)
        let mean = logits.reduce(0.0) { $0 + Double($1) } / Double(logits.count)
        let variance = logits.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(logits.count)
        let deviation = Float(variance.squareRoot())
        guard deviation.isFinite, deviation > 0 else {
            throw FormatError(model.file.path, "gives logits that are not finite, or all the same")
        }
        let best = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }.prefix(expectedCount)
        return ModelTests(
            texts: texts.map { Text(text: $0, ids: model.tokenizer.encode($0)) }, prompt: prompt, deviation: deviation,
            expected: best.map { Logit(id: TokenID($0), value: logits[$0]) })
    }

    /// Tests of the same length as those that ``make(model:texts:prompt:)`` gives, to be put in their place until there is a
    /// model to ask: no reader refuses them.
    package static func placeholder(
        tokenizer: Tokenizer, texts: [String], prompt: [TokenID]
    ) -> ModelTests {
        let count = min(expectedCount, tokenizer.vocabulary.count)
        return ModelTests(
            texts: texts.map { Text(text: $0, ids: tokenizer.encode($0)) }, prompt: prompt, deviation: 1,
            expected: [Logit](repeating: Logit(id: 0, value: 0), count: count))
    }
}
