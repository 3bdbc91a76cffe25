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
    private let stops: StopMatcher
    private var decoder: StreamDecoder
    private var matcher: StopMatcher

    /// Creates an empty output of `model` that ends as `options` say.
    package init(_ model: LanguageModel, _ options: GenerationOptions) {
        vocabulary = model.tokenizer.vocabulary
        ends = options.ends(of: model)
        (minimumTokens, maximumTokens) = (options.minimumTokens, options.maximumTokens)
        decoder = StreamDecoder(vocabulary, skipSpecial: true)
        let vocabulary = vocabulary
        let special = options.stop.isEmpty ? [] : vocabulary.addedTokens.filter(\.isSpecial)
        stops = StopMatcher(options.stop, specialTokens: special.map { ($0.id, vocabulary.bytes(of: $0.id)) })
        matcher = options.minimumTokens > 0 ? StopMatcher([]) : stops
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
            (piece, stop) =
                vocabulary.isSpecial(token) ? matcher.push(special: token) : matcher.push(decoder.push(token))
            if tokens.count == minimumTokens { matcher = stops }
            if isComplete {
                end = .complete
            } else if tokens.count == maximumTokens {
                end = .maximumTokens
            } else if remainingContext == 0 {
                end = .contextFull
            }
        }
        text += piece
        if stop == nil, end != nil {
            let (held, stop) = finish()
            return (piece + held, stop.map(StopReason.stopString) ?? end)
        }
        return (piece, stop.map(StopReason.stopString) ?? end)
    }

    /// Ends the text: what was held back is part of it, unless it completes a stop string. Returns both.
    @discardableResult
    package mutating func finish() -> (piece: String, stop: String?) {
        var (held, stop) = matcher.push(decoder.finish())
        if stop == nil { held += matcher.finish() }
        text += held
        return (held, stop)
    }
}
