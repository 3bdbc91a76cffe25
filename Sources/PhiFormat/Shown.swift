extension String {
    /// The string for a one-line error: in quotes, without control characters, cut to 80 characters. Names in a damaged file
    /// can be anything.
    package var shown: String {
        var text = ""
        for scalar in unicodeScalars.prefix(80) {
            let value = scalar.value
            let isControl = value < 32 || (127...159).contains(value) || (0x2028...0x202E).contains(value)
            text.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
        }
        return unicodeScalars.dropFirst(80).isEmpty ? "'\(text)'" : "'\(text)...'"
    }
}
