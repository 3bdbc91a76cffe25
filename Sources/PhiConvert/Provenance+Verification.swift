import Phi
import PhiFormat
import PhiJSON

extension LanguageModel {
    /// Reads the section `provenance`, if there is one. Throws ``FormatError`` when it is not a JSON object.
    package func verifyProvenance() throws(FormatError) {
        guard let section = file.section(SectionName.provenance) else { return }
        do throws(FormatError) {
            _ = try JSONText.decode(JSONObject.self, from: Array(file.bytes(of: section)), of: file.path)
        } catch {
            throw FormatError(file.path, "provenance: \(error.fault)")
        }
    }
}

/// Any JSON object.
private struct JSONObject: Decodable {
    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws { _ = try decoder.container(keyedBy: Key.self) }
}
