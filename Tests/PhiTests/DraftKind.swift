import Phi
import PhiTestSupport
import PhiTokenizer

/// What is drafted, by the completion that comes.
enum DraftKind: CaseIterable {
    case right, wrong, rightAtFirst, notTokens, endOfText, itself

    /// Speculation with drafts of this kind for completions of `prompt` that go on like `completion`.
    func speculation(_ length: Int, _ prompt: [TokenID], _ completion: [TokenID]) -> Speculation {
        let whole = prompt + completion
        let kind = self
        guard kind != .itself else { return Speculation(policy: .fixed(length)) }
        return Speculation(policy: .fixed(length)) { tokens in
            let coming = whole.dropFirst(tokens.count).prefix(length)
            return switch kind {
            case .right, .itself: Array(coming)
            case .wrong: coming.map { ($0 + 1) % 250 }
            case .rightAtFirst: coming.prefix(tokens.count % 4) + [TokenID(7), 8, 9]
            case .notTokens: coming.prefix(1) + [-1, 1 << 30, 290]
            case .endOfText: coming.prefix(2) + [TokenID(TinyTokenizer.endOfText)] + coming
            }
        }
    }
}
