import PhiFormat

/// `directory/name`
func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
}

/// Opens `directory/name`; nil if there is nothing of that name. Throws ``FormatError`` for a link to nothing.
func openIfPresent(_ directory: String, _ name: String) throws(FormatError) -> ReadableFile? {
    let path = join(directory, name)
    if case .missing = PathKind(path), !PathKind.isLink(path) { return nil }
    return try ReadableFile(path: path)
}
