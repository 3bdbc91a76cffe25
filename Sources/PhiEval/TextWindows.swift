import Phi
import PhiTokenizer

/// A text cut into windows that are read one by one, each from an empty context, as llama-perplexity cuts it.
///
/// Without a stride, windows follow each other and the tokens of the second half of each are predicted, so that every
/// prediction has at least half a window before it. With a stride, a window starts every so many tokens and its last tokens,
/// as many as the stride, are predicted. What does not fill a window at the end of the text is left out.
public struct TextWindows: Sendable {
    /// The whole text.
    public let tokens: [TokenID]
    /// Tokens of a window.
    public let context: Int
    /// Tokens from the start of a window to that of the next, if it was given.
    public let stride: Int?
    /// Windows that are read.
    public let count: Int
    /// The place in a window of the first token that something is predicted from.
    package let firstScored: Int

    /// Cuts `tokens` into windows of `context`, at most `limit` of them. Throws ``OptionError`` when an option is out of
    /// range or the text does not fill a window.
    public init(
        _ tokens: [TokenID], context: Int, stride: Int? = nil, limit: Int? = nil
    ) throws(OptionError) {
        guard context >= 4 else { throw OptionError(fault: "a window of \(context) tokens is not 4 or more") }
        if let stride, !(1..<context).contains(stride) {
            throw OptionError(fault: "a stride of \(stride) is not 1 to \(context - 1)")
        }
        if let limit, limit < 1 { throw OptionError(fault: "\(limit) windows are not 1 or more") }
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

    /// Tokens that are predicted in each window.
    public var scoredPerWindow: Int { context - 1 - firstScored }

    /// Tokens that are predicted in all.
    public var scored: Int { count * scoredPerWindow }

    /// How the text is read, in words.
    public var protocolName: String {
        stride.map { "windows of \(context) tokens, one every \($0), the last \($0) tokens of each predicted" }
            ?? "windows of \(context) tokens, the last \(scoredPerWindow) of each predicted"
    }

    /// The tokens of a window.
    package func window(_ index: Int) -> ArraySlice<TokenID> {
        let start = index * (stride ?? context)
        return tokens[start..<start + context]
    }

    /// Reads all windows in `session`, which has room for them. `body` gets, for each prediction in order, the logits, valid
    /// during the call, and the token that really came. `shouldContinue` is asked before each window, with the share that is done.
    ///
    /// Throws ``SessionError``, what `body` throws, and `CancellationError` when `shouldContinue` says so.
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
            var fault: (any Error)?
            try session.append(window[start..<window.endIndex - 1]) { place, logits in
                guard fault == nil else { return }
                do { try body(logits, window[start + place + 1]) } catch { fault = error }
            }
            if let fault { throw fault }
        }
    }
}
