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

    struct MergedAdapter: Encodable {
        /// The factor of its update.
        let factor: Float
        let sources: [Source]
    }

    struct Matrices: Encodable {
        let encoding: String
        let bits_per_weight: Double
        let relative_error: Double
        let activation_ratio: ActivationRatio?
    }

    let converter: String
    let type: String
    let method: String
    let calibration: ConversionReport.Calibration?
    let naming: String
    /// Of the MLP, all zero; nil if there are none.
    let added_channels: Int?
    let sources: [Source]
    /// The adapters that were merged; nil if there are none.
    let adapters: [MergedAdapter]?
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
                    ? "blocks and head: error feedback (GPTQ) by random tokens' inputs; "
                    : "blocks and head: error feedback (GPTQ) by their inputs, drift of the inputs corrected (GPTAQ); ")
                + "embedding: error feedback by the first block's weights; head: q8"
        added_channels = report.addedChannels > 0 ? report.addedChannels : nil
        naming = checkpoint.naming.rawValue
        func source(_ file: ReadableFile) throws -> Source {
            Source(name: file.name, bytes: file.size, sha256: try file.sha256(while: shouldContinue))
        }
        sources = try checkpoint.ownFiles.map(source)
        adapters =
            checkpoint.adapters.isEmpty
            ? nil : try checkpoint.adapters.map { MergedAdapter(factor: $0.weight, sources: try $0.files.map(source)) }
        matrices = report.kinds.reduce(into: [:]) { matrices, kind in
            matrices[kind.label] = Matrices(
                encoding: kind.encoding.name, bits_per_weight: kind.encoding.bitsPerWeight,
                relative_error: (kind.error.relative * 1e6).rounded() / 1e6,
                activation_ratio: kind.activations)
        }
    }
}

extension LanguageModel {
    /// Reads the section `provenance`, if there is one. Throws ``FormatError`` when it is not a JSON object.
    package func verifyProvenance() throws(FormatError) {
        // In an encoding that this version does not know it is not looked at.
        guard let section = file.section(SectionName.provenance),
            section.encodingNumber == 0 || TensorEncoding(rawValue: section.encodingNumber) != nil
        else { return }
        func fault(_ text: String) -> FormatError { FormatError(file.path, "provenance: \(text)") }
        guard section.encodingNumber == 0 else { throw fault("has encoding \(section.encodingNumber), not 0") }
        let value: JSONValue
        do throws(JSONFault) {
            value = try JSONValue(Array(file.bytes(of: section)))
        } catch {
            throw fault("is not JSON: \(error.message)")
        }
        guard case .object = value else { throw fault("is not a JSON object") }
    }
}
