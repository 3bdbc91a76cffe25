import PhiTokenizer

/// A completion's text in the making: tokens in, decided text out.
package struct GeneratedText {
    /// What is decided so far, without the stop string.
    package private(set) var text = ""
    /// The tokens that were chosen, `<|endoftext|>` left out.
    package private(set) var tokens: [TokenID] = []
    private var decoder: StreamDecoder
    private var matcher: StopMatcher

    /// An empty text that ends before one of `stop`, none of which is empty.
    package init(_ vocabulary: Vocabulary, stop: [String]) {
        decoder = StreamDecoder(vocabulary, skipSpecial: true)
        matcher = StopMatcher(stop)
    }

    /// Takes a token that was chosen from `session`'s logits. Returns the text that it decides, and why the text ends with it:
    /// nil if the session has to take it next.
    package mutating func take(
        _ token: TokenID, of session: Session, maximumTokens: Int?
    ) -> (piece: String, end: StopReason?) {
        var piece = ""
        var stop: String?
        var end: StopReason?
        if token == TokenID(session.model.config.endOfText) {
            end = .endOfText
        } else {
            tokens.append(token)
            (piece, stop) = matcher.push(decoder.push(token))
            if tokens.count == maximumTokens {
                end = .maximumTokens
            } else if session.remainingContext == 0 {
                end = .contextFull
            }
        }
        if stop == nil, end != nil {
            // What was held back is still part of the text, unless it makes a stop string whole.
            let held: String
            (held, stop) = matcher.push(decoder.finish())
            piece += stop == nil ? held + matcher.finish() : held
        }
        text += piece
        return (piece, stop.map(StopReason.stopString) ?? end)
    }
}
