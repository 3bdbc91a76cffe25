import PhiFormat
import PhiHTTP
import PhiSystem

/// What the environment says about Hugging Face's hub, by the rules of its own library (`constants.py`, `utils/_auth.py`): where
/// the cache is, where the hub is, whether it may be asked, and by which token. A variable that is empty counts as not set.
package struct HubSettings: Sendable {
    /// The folder of the cache, with an entry for each repository.
    package let cache: FilePath
    /// The address of the hub, without a slash at its end.
    package let endpoint: String
    /// The variable that forbids the network, if one does.
    package let offline: String?
    package let token: Token?
    /// Seconds that nothing may arrive.
    package let patience: Int
    /// A file of trusted certificates instead of the system's.
    package let certificates: String?
    package let hidesProgress: Bool

    package struct Token: Sendable, Equatable {
        package let text: String
        /// The variable or the file that it is from.
        package let source: String
    }

    /// Reads the environment of this process. Throws ``FormatError`` when the token cannot be sent.
    package init() throws(FormatError) {
        try self.init { name in
            getenv(name).map { value in
                UnsafeBufferPointer(start: value, count: strlen(value)).map { UInt8(bitPattern: $0) }
            }
        }
    }

    /// Takes the value of each variable from `environment`.
    package init(_ environment: (String) -> [UInt8]?) throws(FormatError) {
        func bytes(_ name: String) -> [UInt8]? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
        func text(_ name: String) -> String? { bytes(name).map { String(decoding: $0, as: UTF8.self) } }
        func isSet(_ name: String) -> Bool { Self.isTrue(text(name)) }
        func path(_ name: String) -> FilePath? { bytes(name).map { FilePath(bytes: Self.expanded($0, bytes)) } }

        let home = bytes("HOME") ?? Self.homeOfUser()
        let system = FilePath(bytes: bytes("XDG_CACHE_HOME").map { Self.expanded($0, bytes) } ?? home + "/.cache".utf8)
        let folder = path("HF_HOME") ?? system.appending("huggingface")
        cache = path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? folder.appending("hub")

        var endpoint = text("HF_ENDPOINT") ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        self.endpoint = endpoint
        let variable = text("HF_HUB_OFFLINE") == nil ? "TRANSFORMERS_OFFLINE" : "HF_HUB_OFFLINE"
        offline = isSet(variable) ? variable : nil
        patience = text("HF_HUB_DOWNLOAD_TIMEOUT").flatMap(Int.init).map { min(max($0, 1), 86_400) } ?? 10
        certificates = text("SSL_CERT_FILE")
        hidesProgress = isSet("HF_HUB_DISABLE_PROGRESS_BARS")
        token =
            isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN")
            ? nil
            : try Self.token(
                ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].first { bytes($0) != nil }.map { ($0, bytes($0) ?? []) },
                file: path("HF_TOKEN_PATH") ?? folder.appending("token"))
    }

    /// How the hub is asked.
    func http(agent: String) -> HTTPConnection.Settings {
        HTTPConnection.Settings(
            endpoint: endpoint, source: "HF_ENDPOINT", token: token?.text, patience: patience,
            certificates: certificates, agent: agent, advice: "install it (Debian: libcurl4), or use `hf download`")
    }

    /// The home directory that the system's list of users has; empty if it has none.
    private static func homeOfUser() -> [UInt8] {
        guard let user = getpwuid(getuid()), let home = user.pointee.pw_dir else { return [] }
        return UnsafeBufferPointer(start: home, count: strlen(home)).map { UInt8(bitPattern: $0) }
    }

    static func isTrue(_ value: String?) -> Bool {
        value.map { ["1", "ON", "YES", "TRUE"].contains($0.uppercased()) } ?? false
    }

    /// The token of a variable, or else of a file.
    private static func token(
        _ variable: (name: String, value: [UInt8])?, file: FilePath
    ) throws(FormatError) -> Token? {
        if let variable, let token = try token(variable.value, from: variable.name) { return token }
        guard case .file = PathKind(file) else { return nil }
        return try token(ReadableFile(file).readAll(limit: 1 << 16), from: file.description)
    }

    /// The token without the white space around it; nil if nothing is left.
    private static func token(_ bytes: [UInt8], from source: String) throws(FormatError) -> Token? {
        func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D].contains(byte) }
        let start = bytes.drop(while: isSpace)
        let text = start[..<((start.lastIndex { !isSpace($0) }).map { $0 + 1 } ?? start.startIndex)]
        // It becomes a line of a request.
        guard text.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw FormatError(source, "holds no token: it has characters that a token does not have")
        }
        return text.isEmpty ? nil : Token(text: String(decoding: text, as: UTF8.self), source: source)
    }

    /// A path with the home directory for a leading `~`, and with variables `$NAME` and `${NAME}` replaced if they are set.
    private static func expanded(_ path: [UInt8], _ variable: (String) -> [UInt8]?) -> [UInt8] {
        var path = path
        let slash = UInt8(ascii: "/"), dollar = UInt8(ascii: "$")
        if path.first == UInt8(ascii: "~"), path.count == 1 || path[1] == slash, let home = variable("HOME") {
            path = (home.last == slash ? Array(home.dropLast()) : home) + path.dropFirst()
        }
        var result: [UInt8] = []
        var left = path[...]
        while let start = left.firstIndex(of: dollar) {
            result += left[..<start]
            let behind = left[(start + 1)...]
            let isBraced = behind.first == UInt8(ascii: "{")
            let name = isBraced ? behind.dropFirst().prefix { $0 != UInt8(ascii: "}") } : behind.prefix(while: isOfName)
            let end = name.endIndex + (isBraced && name.endIndex < left.endIndex ? 1 : 0)
            if let value = name.isEmpty ? nil : variable(String(decoding: name, as: UTF8.self)) {
                result += value
                left = left[end...]
            } else {
                result.append(dollar)
                left = behind
            }
        }
        return result + left
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == UInt8(ascii: "_")
    }
}
