import PhiFormat
import PhiJSON

/// A samples file that is appended to line by line and survives the death of its writer.
///
/// Opening it removes an incomplete last line; the other samples need not be generated again. A finished file is sorted by
/// problem and sample, so a resumed run leaves the same bytes as an uninterrupted one.
package final class SampleFile {
    private let path: FilePath
    private let lines: AppendedLines
    /// The samples in the file.
    package private(set) var samples: [CodeSample]

    /// Opens or creates the file for samples of `run`. Throws ``FormatError`` when it cannot be written, or holds anything but
    /// samples of that run, each once.
    package init(_ path: FilePath, run: String) throws(FormatError) {
        self.path = path
        var samples: [CodeSample] = []
        var seen: [TaskID: Set<Int>] = [:]
        lines = try AppendedLines(path, head: #"{"completion":"#) { lines throws(FormatError) in
            for line in lines {
                let place = "\(path): line \(line.number)"
                let sample = try JSONText.decode(CodeSample.self, from: line.bytes, of: place)
                guard sample.run == run, let number = sample.sample else {
                    throw FormatError(place, "is of another run: other model, problems or options; give another file")
                }
                guard seen[sample.task_id, default: []].insert(number).inserted else {
                    throw FormatError(place, "has sample \(number) of \(sample.task_id) again")
                }
                samples.append(sample)
            }
        }
        self.samples = samples
    }

    /// Appends a sample; it is written when this returns.
    package func append(_ sample: CodeSample) throws {
        try lines.append(sample)
        samples.append(sample)
    }

    /// Sorts the file by problem, in the order of `problems`, and sample; samples of other problems come last.
    package func finish(_ problems: [CodeProblem]) throws {
        let places = Dictionary(uniqueKeysWithValues: problems.enumerated().map { ($1.id, $0) })
        func place(_ sample: CodeSample) -> (Int, Int) {
            (places[sample.task_id] ?? .max, sample.sample ?? 0)
        }
        let ordered = samples.sorted { place($0) < place($1) }
        guard ordered != samples else { return }
        let file = try AtomicFile(path, overwrite: true)
        for sample in ordered { try file.append(JSONText.encode(sample) + [UInt8(ascii: "\n")]) }
        try file.commit()
        samples = ordered
    }
}
