import Phi
import PhiTokenizer

/// A text cut into windows as in llama-perplexity; each window is evaluated from an empty context.
///
/// Without a stride, windows are adjacent and the second half of each is predicted, so every prediction has at least half a
/// window of context. With a stride of n, a window starts every n tokens and its last n tokens are predicted. An incomplete
/// window at the end of the text is dropped.
package struct TextWindows: Sendable {
    /// The tokens of the text.
    package let tokens: [TokenID]
    /// The number of tokens of a window.
    package let context: Int
    /// The number of tokens between the starts of two windows; nil for adjacent windows.
    package let stride: Int?
    /// The number of windows.
    package let count: Int
    /// The index in a window of the first token whose successor is predicted.
    package let firstScored: Int

    /// Cuts `tokens` into at most `limit` windows of `context` tokens. Throws ``OptionError`` when an argument is out of range
    /// or the text does not fill a window.
    package init(
        _ tokens: [TokenID], context: Int, stride: Int? = nil, limit: Int? = nil
    ) throws(OptionError) {
        guard context >= 4 else { throw OptionError(fault: "a window must be 4 tokens or more, got \(context)") }
        if let stride, !(1..<context).contains(stride) {
            throw OptionError(fault: "the stride must be 1 to \(context - 1), got \(stride)")
        }
        if let limit, limit < 1 { throw OptionError(fault: "the number of windows must be 1 or more, got \(limit)") }
        let whole = stride.map { (tokens.count - context + $0 - 1) / $0 } ?? tokens.count / context
        guard tokens.count > context || stride == nil && tokens.count == context else {
            throw OptionError(fault: "has \(tokens.count) tokens; a window takes \(context + (stride == nil ? 0 : 1))")
        }
        self.tokens = tokens
        self.context = context
        self.stride = stride
        count = min(whole, limit ?? whole)
        firstScored = stride.map { context - $0 - 1 } ?? context / 2
    }

    /// The number of predicted tokens of a window.
    package var scoredPerWindow: Int { context - 1 - firstScored }

    /// The number of predicted tokens.
    package var scored: Int { count * scoredPerWindow }

    /// The protocol in words.
    package var protocolName: String {
        stride.map { "windows of \(context) tokens, one every \($0), the last \($0) tokens of each predicted" }
            ?? "windows of \(context) tokens, the last \(scoredPerWindow) of each predicted"
    }

    /// The tokens of a window.
    package func window(_ index: Int) -> ArraySlice<TokenID> {
        let start = index * (stride ?? context)
        return tokens[start..<start + context]
    }

    /// Evaluates all windows in `session`. `body` receives, for each prediction in order, the logits, valid during the call,
    /// and the token that follows. `shouldContinue` is called before each window with the fraction done.
    ///
    /// Throws ``SessionError``, what `body` throws, and `CancellationError` when `shouldContinue` returns false.
    func forEachPrediction(
        in session: Session, while shouldContinue: (Double) -> Bool,
        _ body: (UnsafeBufferPointer<Float>, TokenID) throws -> Void
    ) throws {
        for index in 0..<count {
            guard shouldContinue(Double(index) / Double(count)) else { throw CancellationError() }
            let window = window(index)
            let start = window.startIndex + firstScored
            session.truncate(to: 0)
            try session.append(window[..<start])
            try session.forEachLogits(appending: window[start..<window.endIndex - 1]) { place, logits in
                try body(logits, window[start + place + 1])
            }
        }
    }
}

extension Session {
    /// Appends tokens and calls `body` for each with its index and the logits that follow it, until it throws, which this
    /// function then does too.
    package func forEachLogits(
        appending tokens: ArraySlice<TokenID>, _ body: (Int, UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        var fault: (any Error)?
        try append(tokens) { place, logits in
            guard fault == nil else { return }
            do { try body(place, logits) } catch { fault = error }
        }
        if let fault { throw fault }
    }
}
