import Phi
import PhiFormat
import PhiTokenizer

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Token ids as a JSON array of integers.
enum TokenIDs {
    /// Reads those of a vocabulary of so many tokens from `bytes`, which came from `source`. Throws ``FormatError`` for
    /// anything else.
    static func parse(_ bytes: [UInt8], from source: String, vocabulary: Int) throws -> [TokenID] {
        guard let ids = try? JSONDecoder().decode([TokenID].self, from: Data(bytes)) else {
            throw FormatError(source, "is not a JSON array of token ids")
        }
        if let wrong = ids.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
            throw FormatError(source, "\(SessionError.notAToken(wrong, vocabulary: vocabulary))")
        }
        return ids
    }
}
