#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Results as JSON.
enum JSONOutput {
    /// Prints a value as one JSON object with its keys in order.
    static func print(_ value: some Encodable, pretty: Bool = true) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        try Console.write([UInt8](try encoder.encode(value)) + [UInt8(ascii: "\n")])
    }
}
