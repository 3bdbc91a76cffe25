/// Why a vocabulary was refused.
public struct TokenizerError: Error, Equatable, CustomStringConvertible {
    /// What is wrong and where, in one line, without the file's name.
    public let fault: String

    /// Makes the error that says `fault`.
    public init(fault: String) {
        self.fault = fault
    }

    /// The fault.
    public var description: String { fault }
}
