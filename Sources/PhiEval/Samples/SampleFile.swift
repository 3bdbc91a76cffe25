import PhiFormat
import PhiJSON
import PhiSystem

/// A samples file that is appended to line by line and survives the death of its writer.
///
/// Opening it removes an incomplete last line; the other samples need not be generated again. A finished file is sorted by
/// problem and sample, so a resumed run leaves the same bytes as an uninterrupted one.
package final class SampleFile {
    private let path: FilePath
    /// The samples in the file.
    package private(set) var samples: [CodeSample] = []
    private let descriptor: Int32

    /// Opens or creates the file for samples of `run`. Throws ``FormatError`` when it cannot be written, or holds anything but
    /// samples of that run.
    package init(_ path: FilePath, run: String) throws(FormatError) {
        self.path = path
        descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else { throw Self.fault(path) }
        do throws(FormatError) {
            // Two writers would interleave their lines.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw FormatError(path, "is being written already") }
            let bytes = try ReadableFile(path).readAll(limit: 1 << 32)
            let whole = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            for line in TextLines.split(Array(bytes[..<whole])) {
                let place = "\(path): line \(line.number)"
                let sample = try JSONText.decode(CodeSample.self, from: line.bytes, of: place)
                guard sample.run == run, sample.sample != nil else {
                    throw FormatError(place, "is of another run: other model, problems or options; give another file")
                }
                samples.append(sample)
            }
            guard bytes.count == whole || isBeginningOfLine(bytes[whole...]) else {
                throw FormatError(path, "does not end with a sample")
            }
            guard ftruncate(descriptor, off_t(whole)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
                throw Self.fault(path)
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Appends a sample; it is written when this returns.
    package func append(_ sample: CodeSample) throws {
        let line = try JSONText.encode(sample) + [UInt8(ascii: "\n")]
        guard writeAll(line, to: descriptor) else { throw Self.fault(path) }
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

    /// Whether these bytes can be an incomplete sample; any other file belongs to someone and must not be truncated.
    private func isBeginningOfLine(_ bytes: ArraySlice<UInt8>) -> Bool {
        let head = Array(#"{"completion":"#.utf8)
        return bytes.starts(with: head) || head.starts(with: bytes)
    }

    private static func fault(_ path: FilePath) -> FormatError {
        FormatError(path, "cannot be written: \(String(cString: strerror(errno)))")
    }
}
