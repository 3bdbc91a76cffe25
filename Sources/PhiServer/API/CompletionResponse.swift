import Hummingbird
import Phi

/// The response of `/v1/completions`, or one event of its stream.
struct CompletionResponse: Encodable {
    struct Choice: Encodable {
        let text: String
        let index: Int
        let logprobs: Logprobs?
        let finish_reason: String?

        private enum Keys: String, CodingKey { case text, index, logprobs, finish_reason }

        /// Encodes absent values as null, which OpenAI's clients expect.
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

        init(_ sequences: [SequenceUsage], choices: Int) {
            // A prompt counts once, however many choices it has.
            let prompts = stride(from: 0, to: sequences.count, by: choices).map { sequences[$0] }
            prompt_tokens = prompts.reduce(0) { $0 + $1.promptTokens }
            completion_tokens = sequences.reduce(0) { $0 + $1.completionTokens }
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
    /// Null in the events of a stream that ends with it, absent in other streams.
    let usage: Usage??
    let warnings: [String]?

    private enum Keys: String, CodingKey {
        case id, object, created, model, system_fingerprint, choices, usage, warnings
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(id, forKey: .id)
        try container.encode(object, forKey: .object)
        try container.encode(created, forKey: .created)
        try container.encode(model, forKey: .model)
        try container.encode(system_fingerprint, forKey: .system_fingerprint)
        try container.encode(choices, forKey: .choices)
        if let usage { try container.encode(usage, forKey: .usage) }
        try container.encodeIfPresent(warnings, forKey: .warnings)
    }
}

/// The responses of OpenAI's interface.
struct OpenAIFormat: CompletionFormat {
    var state: CompletionState
    private var logprobs: [LogprobsEncoder]
    private var hasWarned = false

    init(_ state: CompletionState) {
        self.state = state
        logprobs = state.sequences.map { _ in LogprobsEncoder(state.model) }
    }

    mutating func event(_ index: Int) -> ByteBuffer {
        let choice = takeChoice(index, as: index)
        defer { hasWarned = true }
        return .event(body([choice], usage: state.request.includesUsage ? .some(nil) : nil, warns: !hasWarned))
    }

    func lastEvents(_ usage: CompletionResponse.Usage) -> [ByteBuffer] {
        (state.request.includesUsage ? [.event(body([], usage: usage, warns: false))] : []) + [.lastEvent]
    }

    mutating func whole(_ usage: CompletionResponse.Usage) -> ByteBuffer {
        var choices = ByteBuffer(string: #"{"choices":"#)
        let indices = state.returned
        choices.writeJSONArray(indices.count) { takeChoice(indices[$0], as: $0) }
        // Keys are sorted, so the empty list is at the beginning.
        var rest = ByteBuffer.json(body([], usage: usage, warns: true))
        rest.moveReaderIndex(forwardBy: #"{"choices":[]"#.utf8.count)
        choices.writeBuffer(&rest)
        return choices
    }

    private mutating func takeChoice(_ index: Int, as number: Int) -> CompletionResponse.Choice {
        let sequence = state.take(index)
        var entries = state.request.wantsLogprobs ? Logprobs() : nil
        if let scores = sequence.promptScores {
            let prompt = index / state.request.choices
            entries?.append(
                logprobs[index].prompt(
                    state.request.prompts[prompt], scores, isEmpty: state.request.isEmpty[prompt]))
        }
        entries?.append(logprobs[index].completion(sequence.tokens))
        return CompletionResponse.Choice(
            text: sequence.text, index: number, logprobs: entries, finish_reason: sequence.end?.reason.finishReason)
    }

    private func body(
        _ choices: [CompletionResponse.Choice], usage: CompletionResponse.Usage??, warns: Bool
    ) -> CompletionResponse {
        let warnings = state.request.warnings
        return CompletionResponse(
            id: "cmpl-" + state.id, created: state.created, model: state.model.name,
            system_fingerprint: state.model.fingerprint, choices: choices, usage: usage,
            warnings: warns && !warnings.isEmpty ? warnings : nil)
    }
}

extension StopReason {
    /// The name in OpenAI's interface.
    fileprivate var finishReason: String {
        switch self {
        case .endOfText, .complete, .stopString: "stop"
        case .maximumTokens, .contextFull: "length"
        case .cancelled: "cancelled"
        }
    }
}
