import Phi
import PhiTokenizer

/// Log-probabilities in the shape of OpenAI's `/v1/completions`: each list has one entry a token.
struct Logprobs: Encodable {
    /// The text of each token.
    var tokens: [String] = []
    /// The log-probability of each token; null for a sequence's first.
    var token_logprobs: [Double?] = []
    /// The log-probabilities of the most likely tokens at each place and of the token itself; null for a sequence's first.
    var top_logprobs: [[String: Double]?] = []
    /// The offset of each token in the choice's text, in Unicode scalars, as Python counts them.
    var text_offset: [Int] = []

    mutating func append(_ other: Logprobs) {
        tokens += other.tokens
        token_logprobs += other.token_logprobs
        top_logprobs += other.top_logprobs
        text_offset += other.text_offset
    }
}

/// Converts the tokens of one choice, in order, to ``Logprobs``.
struct LogprobsEncoder: Sendable {
    private let model: ServedModel
    private var decoder: StreamDecoder
    private var offset = 0

    init(_ model: ServedModel) {
        self.model = model
        decoder = StreamDecoder(model.tokenizer.vocabulary, skipSpecial: true)
    }

    /// The entries of an echoed prompt; `scores` are those of all its tokens but the first. Special tokens are part of its text
    /// unless it was empty.
    mutating func prompt(_ tokens: [TokenID], _ scores: [TokenChoice], isEmpty: Bool) -> Logprobs {
        let completionDecoder = decoder
        defer { decoder = completionDecoder }
        decoder = StreamDecoder(model.tokenizer.vocabulary, skipSpecial: isEmpty)
        let body = entries(Array(zip(tokens, [nil] + scores)))
        offset += decoder.finish().unicodeScalars.count
        return body
    }

    /// The entries of generated tokens.
    mutating func completion(_ tokens: [TokenChoice]) -> Logprobs {
        entries(tokens.map { ($0.token, $0) })
    }

    private mutating func entries(_ tokens: [(TokenID, TokenChoice?)]) -> Logprobs {
        var body = Logprobs()
        for (token, choice) in tokens {
            let text = model.text(of: token)
            let top = choice.map { choice in
                let all = choice.alternatives.map { (model.text(of: $0.token), $0.logProbability) }
                return Dictionary(all + [(text, choice.logProbability)], uniquingKeysWith: max)
            }
            body.tokens.append(text)
            body.token_logprobs.append(choice?.logProbability)
            body.top_logprobs.append(top)
            body.text_offset.append(offset)
            offset += decoder.push(token).unicodeScalars.count
        }
        return body
    }
}
