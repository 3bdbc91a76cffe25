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

    /// Takes a token that was chosen from `session`'s logits; returns why the text ends with it, or nil if the session has to
    /// take it next.
    package mutating func take(
        _ token: TokenID, of session: Session, maximumTokens: Int?, _ onText: (String) -> Bool = { _ in true }
    ) -> StopReason? {
        if token == TokenID(session.model.config.endOfText) { return .endOfText }
        tokens.append(token)
        let (piece, stop) = matcher.push(decoder.push(token))
        let isWanted = give(piece, onText)
        if let stop { return .stopString(stop) }
        if !isWanted { return .cancelled }
        if tokens.count == maximumTokens { return .maximumTokens }
        return session.room == 0 ? .contextFull : nil
    }

    /// Ends the text for `reason`, giving what was held back if it still belongs to it; returns the reason that it has
    /// in the end.
    package mutating func finish(_ reason: StopReason, _ onText: (String) -> Bool = { _ in true }) -> StopReason {
        switch reason {
        case .stopString, .cancelled:
            return reason
        case .endOfText, .maximumTokens, .contextFull:
            let (piece, stop) = matcher.push(decoder.finish())
            _ = give(stop == nil ? piece + matcher.finish() : piece, onText)
            return stop.map(StopReason.stopString) ?? reason
        }
    }

    private mutating func give(_ piece: String, _ onText: (String) -> Bool) -> Bool {
        if piece.isEmpty { return true }
        text += piece
        return onText(piece)
    }
}
