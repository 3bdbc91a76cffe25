import PhiFormat

/// `directory/name`
func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
}

/// Throws ``FormatError`` unless `path` is a directory.
func requireDirectory(_ path: String) throws(FormatError) {
    switch PathKind(path) {
    case .directory: break
    case .missing: throw FormatError(path, "no such directory")
    default: throw FormatError(path, "is not a directory; a checkpoint is a directory with config.json")
    }
}

/// Opens `directory/name`; nil if there is nothing of that name.
func openIfPresent(_ directory: String, _ name: String) throws(FormatError) -> ReadableFile? {
    let path = join(directory, name)
    if case .missing = PathKind(path) { return nil }
    return try ReadableFile(path: path)
}
