/// A text that equals others of the same scalars only.
///
/// Two `String`s are equal if they are canonically equivalent, such as a letter with an accent in one scalar and in two. To
/// patterns and to JSON these are different texts.
struct ExactText: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (first: ExactText, second: ExactText) -> Bool { first.text.utf8.elementsEqual(second.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
