/// The reason why a vocabulary is invalid.
public struct TokenizerError: Error, Equatable, CustomStringConvertible {
    /// A one-line description of the fault and its location, without the file name.
    public let fault: String

    /// Creates an error from its description.
    public init(fault: String) {
        self.fault = fault
    }

    /// The same as `fault`.
    public var description: String { fault }
}
