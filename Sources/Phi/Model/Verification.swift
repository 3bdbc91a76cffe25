import PhiFormat
import PhiTokenizer

extension LanguageModel {
    /// Replays the file's section `tests` (`Formats/phi-file.md`, 2.3), if it has one: the tokenizer must give every text's
    /// ids, and the engine the logits after the prompt, within 0.02 of their standard deviation. Throws `FormatError`
    /// naming the first difference.
    public func verifyTests() throws(FormatError) {
        guard let tests = try tests() else { return }
        for (number, text) in tests.texts.enumerated() where tokenizer.encode(text.text) != text.ids {
            throw FormatError(file.path, "tests: the tokenizer gives other ids for text \(number)")
        }
        guard !tests.prompt.isEmpty else { return }
        let logits = try logits(after: tests.prompt)
        for expected in tests.expected {
            let value = logits[Int(expected.id)]
            // Written so that NaN is a difference.
            guard abs(value - expected.value) <= ModelTests.tolerance * tests.deviation else {
                throw FormatError(
                    file.path,
                    "tests: token \(expected.id) gets the logit \(value) after the prompt, not \(expected.value)")
            }
        }
    }

    /// Looks at every weight for what `Formats/phi-file.md` 1.3 forbids: padding that is not zero, an element or a scale that
    /// is not finite, a q8 code of 0. Throws `FormatError` naming the first tensor that has such a thing. Hashes are left
    /// to `PhiFile.verify(progress:)`; a sound file passes both.
    public func verifyWeights() throws(FormatError) {
        for (name, matrix) in weights.matrices {
            if let fault = TileValidator(matrix: matrix).fault() { throw FormatError(file.path, "\(name) \(fault)") }
        }
        for section in file.sections where section.encoding == .vector {
            guard file.bytes(of: section).bindMemory(to: Float.self).allSatisfy(\.isFinite) else {
                throw FormatError(file.path, "\(section.name) has an element that is not finite")
            }
        }
    }

    /// The logits after `prompt`, which is not empty and fits the context.
    package func logits(after prompt: [TokenID]) throws(FormatError) -> [Float] {
        do throws(SessionError) {
            let session = try Session(self, context: prompt.count)
            try session.append(prompt)
            return session.withLogits(Array.init) ?? []
        } catch {
            throw FormatError(file.path, "tests: \(error)")
        }
    }
}
