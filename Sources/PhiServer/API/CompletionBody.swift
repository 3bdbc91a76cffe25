import Phi
import PhiTokenizer

/// An answer of `/v1/completions`, or one of the pieces that it is streamed in.
struct CompletionBody: Encodable {
    struct Choice: Encodable {
        var text: String
        let index: Int
        var logprobs: LogprobsBody?
        var finish_reason: String?

        private enum Keys: String, CodingKey { case text, index, logprobs, finish_reason }

        /// OpenAI's clients want null where there is nothing.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(text, forKey: .text)
            try container.encode(index, forKey: .index)
            try container.encode(logprobs, forKey: .logprobs)
            try container.encode(finish_reason, forKey: .finish_reason)
        }
    }

    struct Usage: Encodable {
        struct Details: Encodable { let cached_tokens: Int }
        let prompt_tokens: Int
        let completion_tokens: Int
        let total_tokens: Int
        let prompt_tokens_details: Details

        init(_ texts: [TextUsage], choices: Int) {
            // A prompt counts once, however many choices it has.
            let prompts = stride(from: 0, to: texts.count, by: choices).map { texts[$0] }
            prompt_tokens = prompts.reduce(0) { $0 + $1.promptTokens }
            completion_tokens = texts.reduce(0) { $0 + $1.completionTokens }
            total_tokens = prompt_tokens + completion_tokens
            prompt_tokens_details = Details(cached_tokens: prompts.reduce(0) { $0 + $1.reusedTokens })
        }
    }

    let id: String
    let object = "text_completion"
    let created: Int
    let model: String
    let system_fingerprint: String
    let choices: [Choice]
    let usage: Usage?
}

/// Log-probabilities in the shape of OpenAI's `/v1/completions`: one entry a token in each list.
struct LogprobsBody: Encodable {
    /// The tokens, each by itself.
    var tokens: [String] = []
    /// Their log-probabilities; null for a text's first token.
    var token_logprobs: [Double?] = []
    /// The likeliest tokens at each place and the one that is there; null for a text's first token.
    var top_logprobs: [[String: Double]?] = []
    /// Where each token begins in the choice's text, in characters as Python counts them.
    var text_offset: [Int] = []

    mutating func append(_ other: LogprobsBody) {
        tokens += other.tokens
        token_logprobs += other.token_logprobs
        top_logprobs += other.top_logprobs
        text_offset += other.text_offset
    }
}

/// Writes down the log-probabilities of one choice's tokens, in order.
struct LogprobsWriter {
    private let model: ServedModel
    private var decoder: StreamDecoder
    private var offset = 0

    init(_ model: ServedModel) {
        self.model = model
        decoder = StreamDecoder(model.tokenizer.vocabulary, skipSpecial: true)
    }

    /// The entries of an echoed prompt, whose special tokens are text unless it was empty.
    mutating func prompt(_ tokens: [ScoredToken], isEmpty: Bool) -> LogprobsBody {
        var decoder = StreamDecoder(model.tokenizer.vocabulary, skipSpecial: isEmpty)
        let body = entries(tokens, &decoder)
        offset += decoder.finish().unicodeScalars.count
        return body
    }

    /// The entries of tokens that were made.
    mutating func made(_ tokens: [ScoredToken]) -> LogprobsBody {
        var decoder = self.decoder
        defer { self.decoder = decoder }
        return entries(tokens, &decoder)
    }

    private mutating func entries(_ tokens: [ScoredToken], _ decoder: inout StreamDecoder) -> LogprobsBody {
        var body = LogprobsBody()
        for token in tokens {
            body.tokens.append(model.text(of: token.token))
            body.token_logprobs.append(token.logProbability)
            let top = token.logProbability.map { own in
                let all = token.top.map { (model.text(of: $0.token), $0.logProbability) }
                return Dictionary(all + [(model.text(of: token.token), own)], uniquingKeysWith: max)
            }
            body.top_logprobs.append(top)
            body.text_offset.append(offset)
            offset += decoder.push(token.token).unicodeScalars.count
        }
        return body
    }
}

extension StopReason {
    /// What OpenAI's interface calls it.
    var finishReason: String {
        switch self {
        case .endOfText, .stopString: "stop"
        case .maximumTokens, .contextFull: "length"
        case .cancelled: "cancelled"
        }
    }
}
