import PhiTokenizer

/// The output of a sequence being generated: its tokens and the text decoded from them, up to a stop string.
package struct GeneratedText {
    /// The final part of the text, without special tokens, the stop string or a suffix that may become one.
    package private(set) var text = ""
    /// The generated tokens, without the end of text.
    package private(set) var tokens: [TokenID] = []
    private let vocabulary: Vocabulary
    private let ends: [TokenID]
    private let minimumTokens: Int
    private let maximumTokens: Int?
    private let stops: [String]
    private var decoder: StreamDecoder
    private var matcher: StopMatcher

    /// Creates an empty output of `model` that ends as `options` say.
    package init(_ model: LanguageModel, _ options: GenerationOptions) {
        vocabulary = model.tokenizer.vocabulary
        ends = options.ends(of: model)
        (minimumTokens, maximumTokens, stops) = (options.minimumTokens, options.maximumTokens, options.stop)
        decoder = StreamDecoder(vocabulary, skipSpecial: true)
        matcher = StopMatcher(options.minimumTokens > 0 ? [] : options.stop)
    }

    /// Appends the next token, after which its session can take `remainingContext` tokens and, if it `isComplete`, a constraint
    /// allows no other. Returns the text that it completes and why the sequence ends with it, or nil if the session has to append
    /// it next.
    package mutating func append(
        _ token: TokenID, remainingContext: Int, isComplete: Bool = false
    ) -> (piece: String, end: StopReason?) {
        var piece = ""
        var stop: String?
        var end: StopReason?
        if ends.contains(token) {
            end = .endOfText
        } else {
            tokens.append(token)
            // Stop strings may contain special tokens, which are not part of the text.
            (piece, stop) =
                vocabulary.isSpecial(token)
                ? matcher.push(String(decoding: vocabulary.bytes(of: token), as: UTF8.self), isText: false)
                : matcher.push(decoder.push(token))
            if tokens.count == minimumTokens { matcher = StopMatcher(stops) }
            if isComplete {
                end = .complete
            } else if tokens.count == maximumTokens {
                end = .maximumTokens
            } else if remainingContext == 0 {
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
