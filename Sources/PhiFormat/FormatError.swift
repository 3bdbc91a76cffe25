/// A fault of a file that cannot be read or written.
public struct FormatError: Error, Equatable, CustomStringConvertible {
    /// The file's path as it was given.
    public let file: String
    /// What is wrong, in one line.
    public let fault: String

    /// Makes an error about `file`.
    public init(_ file: String, _ fault: String) {
        self.file = file
        self.fault = fault
    }

    /// `file: fault`
    public var description: String { "\(file): \(fault)" }
}
