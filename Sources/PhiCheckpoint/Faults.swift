import PhiFormat

extension [FormatError] {
    /// Throws the first, and says how many more there are; does nothing if there is none.
    func throwFirst() throws(FormatError) {
        guard let first else { return }
        let more = count == 1 ? "" : " (and \(count - 1) more such faults)"
        throw FormatError(first.file, first.fault + more)
    }
}
