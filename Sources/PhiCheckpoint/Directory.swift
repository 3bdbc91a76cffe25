import PhiFormat

/// Opens `directory/name`; nil if there is nothing of that name. Throws ``FormatError`` for a link to nothing.
func openIfPresent(_ directory: FilePath, _ name: String) throws(FormatError) -> ReadableFile? {
    let path = directory.appending(name)
    if case .missing = PathKind(path), !PathKind.isLink(path) { return nil }
    return try ReadableFile(path)
}

/// What ``openIfPresent(_:_:)`` opens in `directory`.
func presence(in directory: FilePath) -> CheckpointFiles.Presence {
    { name throws(FormatError) in try openIfPresent(directory, name) != nil }
}
