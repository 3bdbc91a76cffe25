/// A program, and its checks, which run in another process.
package struct CheckedProgram: Sendable {
    /// The text that a model wrote, with what precedes it.
    let text: String
    let checks: Checks

    package struct Checks: Encodable, Sendable {
        /// Statements that the checks may use.
        let setup: String
        let checks: String
        /// The names of the program that the checks use; nil for all names that they do not define themselves.
        let names: [String]?

        package init(_ checks: String, setup: String = "", names: [String]? = nil) {
            (self.checks, self.setup, self.names) = (checks, setup, names)
        }
    }

    package init(_ text: String, checks: Checks) { (self.text, self.checks) = (text, checks) }

    /// Whether a word is in the program or in its checks.
    func mentions(_ word: String) -> Bool {
        [text, checks.setup, checks.checks].contains { $0.utf8.firstRange(of: word.utf8) != nil }
    }
}
