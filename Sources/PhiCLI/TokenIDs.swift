import Phi
import PhiFormat
import PhiJSON
import PhiTokenizer

/// Token ids as a JSON array of integers.
enum TokenIDs {
    /// Decodes `bytes` from `source`. Throws ``FormatError`` for anything but ids below `vocabulary`.
    static func parse(_ bytes: [UInt8], from source: String, vocabulary: Int) throws -> [TokenID] {
        guard let ids = try? JSONText.decode([TokenID].self, from: bytes, of: source) else {
            throw FormatError(source, "is not a JSON array of token ids")
        }
        if let wrong = ids.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
            throw FormatError(source, "\(SessionError.notAToken(wrong, vocabulary: vocabulary))")
        }
        return ids
    }
}
