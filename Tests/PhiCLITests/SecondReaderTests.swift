import CPhiKernels
import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// Files of `phi convert`, read by a program that was written from the specification alone: Tools/phitools/phi_file.py.
@Suite struct SecondReaderTests {
    /// A Python with NumPy: the one in `PYTHON`, the system's, or ours.
    private static let python: String? = {
        let named = ProcessInfo.processInfo.environment["PYTHON"]
        for candidate in [named, "python3", root + "/.venv/bin/python"].compactMap({ $0 }) {
            let outcome = try? shell("exec \"$1\" -c 'import numpy'", candidate)
            if outcome?.status == 0 { return candidate }
        }
        return nil
    }()

    private static let root = repositoryFile("")

    private static func shell(_ line: String, _ arguments: String...) throws -> Outcome {
        try RunningProgram(
            "/bin/sh", ["-c", line, "sh"] + arguments, input: [],
            environment: ["PYTHONPATH": root + "/Tools", "PYTHONDONTWRITEBYTECODE": "1"]
        ).wait()
    }

    /// Sizes that fill no tile, no strip and no block.
    private static let odd = TinyCheckpoint(
        hidden: 48, intermediate: 100, layers: 2, heads: 3, rows: 301, tokens: 290, seed: 7)

    @Test(
        .enabled(if: python != nil, "needs a python3 with NumPy; PYTHON may name one"),
        arguments: Models.types, [false, true])
    func agrees(_ type: String, _ isOdd: Bool) throws {
        let python = try #require(Self.python)
        let shop = try Workshop(isOdd ? Self.odd : TinyCheckpoint())
        #expect(try shop.convert("--type", type).status == 0)
        let verify = try Self.shell(#"exec "$1" -m phitools.phi_file "$2" --verify"#, python, shop.output)
        #expect(verify.status == 0, "\(verify.errorText)")
        let hashes = try Self.shell(#"exec "$1" -m phitools.phi_file "$2" --sha256-of-tensors"#, python, shop.output)
        #expect(hashes.status == 0, "\(hashes.errorText)")
        let lines = hashes.outputText.split(separator: "\n").map(String.init)
        // Embedding, head and final norm with their biases, and eight tensors a block.
        #expect(lines.count == 5 + 2 * 6)
        #expect(try lines == Self.hashes(of: shop.output))
    }

    /// Name, rows, columns and hash of each tensor's values as this reader has them.
    private static func hashes(of path: String) throws -> [String] {
        let file = try PhiFile(MappedFile(path: path))
        return file.sections.compactMap { section in
            guard let encoding = section.encoding else { return nil }
            let bytes = file.bytes(of: section)
            var values = [Float](repeating: 0, count: section.rows * section.columns)
            if encoding == .vector {
                values.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
            } else {
                values.withUnsafeMutableBufferPointer { values in
                    for row in 0..<section.rows {
                        phi_row(
                            bytes.baseAddress, encoding.rawValue, row, section.columns,
                            values.baseAddress?.advanced(by: row * section.columns))
                    }
                }
            }
            let digest = values.withUnsafeBytes { SHA256Digest($0) }
            return "\(section.name) \(section.rows) \(section.columns) \(digest)"
        }
    }
}
