extension String {
    /// The string for a one-line error: in quotes, without control characters, cut to 80 characters. Names in a damaged file
    /// can be anything.
    package var shown: String {
        let text = String(String.UnicodeScalarView(unicodeScalars.prefix(80))).printable
        return unicodeScalars.dropFirst(80).isEmpty ? "'\(text)'" : "'\(text)...'"
    }

    /// The string in one line, with U+FFFD for control characters, which could give a terminal commands.
    package var printable: String {
        func isControl(_ value: UInt32) -> Bool {
            value < 32 || (127...159).contains(value) || (0x2028...0x202E).contains(value)
                || (0x2066...0x2069).contains(value)
        }
        return String(String.UnicodeScalarView(unicodeScalars.map { isControl($0.value) ? "\u{FFFD}" : $0 }))
    }
}
