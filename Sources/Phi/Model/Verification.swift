import PhiFormat
import PhiTokenizer

extension LanguageModel {
    /// Runs the file's section `tests` (`Formats/phi-file.md`, 2.3), if it has one: token ids must be equal, and logits
    /// within 0.02 of their standard deviation. Throws `FormatError` with the first difference.
    public func verifyTests() throws(FormatError) {
        guard let tests = try tests() else { return }
        for (number, text) in tests.texts.enumerated() where tokenizer.encode(text.text) != text.ids {
            throw FormatError(file.path, "tests: the tokenizer encodes text \(number) as other ids")
        }
        guard !tests.prompt.isEmpty else { return }
        let logits = try logits(after: tests.prompt)
        for expected in tests.expected {
            let value = logits[Int(expected.id)]
            // In this form NaN is a difference.
            guard abs(value - expected.value) <= ModelTests.tolerance * tests.deviation else {
                throw FormatError(
                    file.path,
                    "tests: the logit of token \(expected.id) after the prompt is \(value), not \(expected.value)")
            }
        }
    }

    /// Checks every weight by the rules of `Formats/phi-file.md` 1.3: padding is zero, elements and scales are finite,
    /// and no q8 code is 0. Throws `FormatError` naming the first tensor that violates one. `PhiFile.verify(progress:)`
    /// checks hashes.
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

    /// Returns the logits after `prompt`, which must not be empty and must fit the context.
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
