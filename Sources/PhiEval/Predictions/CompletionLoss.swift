import Phi
import PhiTokenizer

/// The cost of a completion, given its prompt, under a model.
///
/// ```swift
/// let session = try Session(model, context: model.config.context)
/// let loss = try CompletionLoss.measure("    return x + 1\n", after: "def next(x):\n", in: session)
/// print(loss.bits / Double(loss.bytes))
/// ```
///
/// Prompt and completion are encoded as one text; tokens that hold bytes of the completion are scored. At most half a
/// context is scored at a time, after as many of the preceding tokens as fit, so a prompt that is too long loses its
/// beginning.
package struct CompletionLoss: Sendable {
    /// The sum of -log2 p of the scored tokens.
    package let bits: Double
    /// The number of scored tokens.
    package let tokens: Int
    /// The UTF-8 length of the completion.
    package let bytes: Int
    /// Whether tokens at the beginning did not fit the context.
    package let isTruncated: Bool

    /// Scores `completion` in `session`, whose tokens are reused where they are the same and otherwise replaced.
    ///
    /// Throws ``SessionError``, and ``OptionError`` when logits are not finite.
    package static func measure(
        _ completion: String, after prompt: String, in session: Session
    ) throws -> CompletionLoss {
        let tokenizer = session.model.tokenizer
        var tokens = tokenizer.encode(prompt + completion, specialTokens: false)
        var first = 0
        var end = 0
        for token in tokens {
            end += tokenizer.vocabulary.bytes(of: token).count
            guard end <= prompt.utf8.count else { break }
            first += 1
        }
        let start = first == 0 ? session.model.effectivePrompt([]) : []
        tokens = start + tokens
        first += start.count
        var bits = 0.0
        var place = first
        while place < tokens.count {
            let end = min(tokens.count, place + max(1, session.context / 2))
            let window = tokens[max(0, end - 1 - session.context)..<end - 1]  // the last token is only predicted
            let pending = session.rewind(to: Array(window[..<place]))
            try session.append(pending.dropLast())
            try session.forEachLogits(appending: tokens[place - 1..<end - 1]) { row, logits in
                let loss = -LogProbabilities(logits).of(tokens[place + row])
                guard loss.isFinite else { throw OptionError(fault: "gives logits that are not finite") }
                bits += loss / DeterministicMath.ln2
            }
            place = end
        }
        return CompletionLoss(
            bits: bits, tokens: tokens.count - first, bytes: completion.utf8.count,
            isTruncated: tokens.count - 1 > session.context)
    }
}
