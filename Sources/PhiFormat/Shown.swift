extension String {
    /// The string for a one-line error: in quotes, without control characters, cut to 80 characters. Names in a damaged file
    /// can be anything.
    package var shown: String {
        let text = String(String.UnicodeScalarView(unicodeScalars.prefix(80))).printable
        return unicodeScalars.dropFirst(80).isEmpty ? "'\(text)'" : "'\(text)...'"
    }

    /// The string in one line, with U+FFFD for control characters, which could give a terminal commands.
    package var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.isControl ? "\u{FFFD}" : $0 }))
    }
}

extension Unicode.Scalar {
    /// Whether it gives a terminal commands, ends a line or changes the direction of text.
    package var isControl: Bool {
        value < 32 || (127...159).contains(value) || (0x2028...0x202E).contains(value)
            || (0x2066...0x2069).contains(value)
    }
}
