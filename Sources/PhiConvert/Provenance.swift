import PhiCheckpoint
import Phi
import PhiFormat
import PhiJSON

/// The origin of a `.phi` file: its section `provenance`, a JSON object for people.
struct Provenance: Encodable {
    struct Source: Encodable {
        let name: String
        let bytes: Int
        let sha256: String
    }

    struct Matrices: Encodable {
        let encoding: String
        let bits_per_weight: Double
        let relative_error: Double
    }

    let converter: String
    let type: String
    let method: String
    let calibration: ConversionReport.Calibration?
    let naming: String
    let sources: [Source]
    let matrices: [String: Matrices]

    /// Hashes the checkpoint's files. Throws ``FormatError`` when one cannot be read, and `CancellationError` when
    /// `shouldContinue` returns false.
    init(_ checkpoint: CheckpointModel, _ report: ConversionReport, while shouldContinue: () -> Bool) throws {
        converter = "swift-phi \(swiftPhiVersion)"
        type = report.type.rawValue
        calibration = report.calibration
        method =
            !report.type.isRounded
            ? "round to nearest"
            : (report.type.isCoarse ? "scale search; " : "scale by the largest; ")
                + (report.calibration == nil
                    ? "blocks and head: round to nearest; "
                    : "blocks and head: error feedback (GPTQ) by their inputs, drift of the inputs corrected (GPTAQ); ")
                + "embedding: error feedback by the first block's weights; head: q8"
        naming = checkpoint.naming.rawValue
        var sources: [Source] = []
        for file in checkpoint.files {
            let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
            sources.append(Source(name: name, bytes: file.size, sha256: try file.sha256(while: shouldContinue)))
        }
        self.sources = sources
        matrices = Dictionary(
            uniqueKeysWithValues: report.kinds.map { kind in
                let rounded = (kind.error.relative * 1e6).rounded() / 1e6
                return (
                    kind.label,
                    Matrices(
                        encoding: kind.encoding.name, bits_per_weight: kind.encoding.bitsPerWeight,
                        relative_error: rounded)
                )
            })
    }

    /// The section's bytes: keys in order, so that they are the same each time.
    func section() throws -> [UInt8] {
        try JSONText.encode(self)
    }
}
