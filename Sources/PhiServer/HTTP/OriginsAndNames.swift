/// The origins of web pages, as browsers write them in the header `Origin`.
package enum Origin {
    /// Returns an origin as browsers write it: in lower case, without the port that its scheme has anyway, and without a slash at its
    /// end. `*` and `null` are themselves. Nil for what is no origin.
    package static func normalised(_ text: String) -> String? {
        var text = text.lowercased()
        if ["*", "null"].contains(text) { return text }
        if text.hasSuffix("/") { text.removeLast() }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        let (scheme, rest) = (text[..<colon], text[colon...].dropFirst(3))
        let isScheme =
            scheme.first?.isLetter == true
            && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
        guard isScheme, AllowedHosts.name(String(rest)) != nil, !rest.contains(where: { "/?#@ ".contains($0) }) else {
            return nil
        }
        let standard = ["http": ":80", "https": ":443"][String(scheme)]
        if let standard, rest.hasSuffix(standard) { return String(text.dropLast(standard.count)) }
        return text
    }
}

/// The names of hosts, as in the header `Host` without its port.
package enum HostName {
    package static func isValid(_ text: String) -> Bool {
        !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || "-._".contains($0) }
    }
}
