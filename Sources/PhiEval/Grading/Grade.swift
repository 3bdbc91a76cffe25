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
    /// The grade in a model's answer, which may follow thoughts, stand between other words as in a fence, and be a string of digits: servers
    /// that ignore the schema give such. Nil if there is none.
    init?(answer: String) {
        let text = Array((answer.ranges(of: "</think>").last.map { answer[$0.upperBound...] } ?? answer[...]).utf8)
        let starts = text.indices.lazy.filter { text[$0] == UInt8(ascii: "{") }
        for start in starts.prefix(64) {
            let object = Array(text[start..<Self.endOfObject(from: start, in: text)])
            guard let said = try? JSONText.decode(Said.self, from: object, of: "the answer") else { continue }
            let isWhole = said.explanation.contains { !$0.isWhitespace }
            guard Self.range.contains(said.grade), isWhole else { return nil }
            self.init(grade: said.grade, explanation: said.explanation)
            return
        }
        return nil
    }

    /// The index after the brace that closes the one at `start`, or the end of the text.
    private static func endOfObject(from start: Int, in text: [UInt8]) -> Int {
        var depth = 0
        var isInString = false, isEscaped = false
        for index in start..<text.count {
            let byte = text[index]
            if isInString {
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            default: break
            }
            if depth == 0 { return index + 1 }
        }
        return text.count
    }

    /// A grade as models write it.
    private struct Said: Decodable {
        let grade: Int
        let explanation: String

        private enum CodingKeys: CodingKey { case grade, explanation }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            explanation = try container.decode(String.self, forKey: .explanation)
            if let text = try? container.decode(String.self, forKey: .grade), let number = Int(text) {
                grade = number
            } else {
                grade = try container.decode(Int.self, forKey: .grade)
            }
        }
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
