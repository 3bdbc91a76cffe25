import PhiTokenizer

/// The output of a sequence being generated: its tokens and the text decoded from them, up to a stop string.
package struct GeneratedText {
    /// The final part of the text, without the stop string or a suffix that may become one.
    package private(set) var text = ""
    /// The generated tokens, without `<|endoftext|>`.
    package private(set) var tokens: [TokenID] = []
    private var decoder: StreamDecoder
    private var matcher: StopMatcher

    /// Creates an empty output that ends before any of `stop`, none of which may be empty.
    package init(_ vocabulary: Vocabulary, stop: [String]) {
        decoder = StreamDecoder(vocabulary, skipSpecial: true)
        matcher = StopMatcher(stop)
    }

    /// Appends a token chosen from `session`'s logits. Returns the text that it completes and why the sequence ends
    /// with it, or nil if the session has to append it next.
    package mutating func append(
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
            // Held-back text is part of the output unless it completes a stop string.
            let held: String
            (held, stop) = matcher.push(decoder.finish())
            piece += stop == nil ? held + matcher.finish() : held
        }
        text += piece
        return (piece, stop.map(StopReason.stopString) ?? end)
    }
}
