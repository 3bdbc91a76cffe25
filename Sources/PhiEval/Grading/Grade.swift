import PhiFormat
import PhiJSON
import Synchronization

/// What a grader says of a completion.
package struct Grade: Codable, Sendable, Equatable {
    /// 0 to 10.
    package let grade: Int
    package let explanation: String

    /// The grades that there are.
    static let range = 0...10

    /// The JSON schema of a grade, for the server. The explanation comes first, so that the grade follows from it.
    static let schema: JSONObject = [
        "type": "object",
        "properties": [
            "explanation": ["type": "string"] as JSONObject,
            "grade": ["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound] as JSONObject,
        ] as JSONObject,
        "required": ["explanation", "grade"], "additionalProperties": false,
    ]
}

extension Grade {
    /// The grade in a model's answer; nil if it is none, as from a server that ignores the schema.
    init?(answer: String) {
        guard let grade = try? JSONText.decode(Self.self, from: Array(answer.utf8), of: "the answer"),
            Self.range.contains(grade.grade), grade.explanation.contains(where: { !$0.isWhitespace })
        else { return nil }
        self = grade
    }
}

/// A file of grades, each a line with the hash of its request. It is appended to as they come, so that a run that was killed or gave
/// up asks only for what is left.
package final class GradeFile: Sendable {
    private struct Line: Codable {
        let explanation: String
        let grade: Int
        let key: String
        let task_id: TaskID
    }

    private let state: Mutex<(lines: AppendedLines, grades: [String: Grade])>

    /// Opens or creates the file. Throws ``FormatError`` when it cannot be written, or holds anything but grades.
    package init(_ path: FilePath) throws(FormatError) {
        var grades: [String: Grade] = [:]
        let lines = try AppendedLines(path, head: #"{"explanation":"#) { lines throws(FormatError) in
            for line in lines {
                let line = try JSONText.decode(Line.self, from: line.bytes, of: "\(path): line \(line.number)")
                grades[line.key] = Grade(grade: line.grade, explanation: line.explanation)
            }
        }
        state = Mutex((lines, grades))
    }

    /// The grade that was given to a request.
    func grade(of request: [UInt8]) -> Grade? { state.withLock { $0.grades[Self.key(request)] } }

    /// Appends a grade; it is written when this returns.
    func append(_ grade: Grade, of request: [UInt8], task: TaskID) throws {
        let key = Self.key(request)
        try state.withLock { state in
            try state.lines.append(
                Line(explanation: grade.explanation, grade: grade.grade, key: key, task_id: task))
            state.grades[key] = grade
        }
    }

    private static func key(_ request: [UInt8]) -> String {
        String(request.withUnsafeBytes { SHA256Digest($0).description }.prefix(20))
    }
}
