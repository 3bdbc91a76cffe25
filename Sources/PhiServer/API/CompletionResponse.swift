import Phi

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The response of `/v1/completions`, or one event of its stream.
struct CompletionResponse: Encodable {
    struct Choice: Encodable {
        var text: String
        let index: Int
        var logprobs: Logprobs?
        var finish_reason: String?

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
    let usage: Usage?
}

/// Assembles the response to one request from the events of its sequences.
struct CompletionAssembler: Sendable {
    let request: CompletionRequest
    private let model: ServedModel
    private let id: String
    private let created = Int(Date().timeIntervalSince1970)
    /// What has not been taken yet of each sequence.
    private var choices: [CompletionResponse.Choice]
    private var logprobs: [LogprobsEncoder]
    private var usages: [SequenceUsage?]

    init(_ request: CompletionRequest, _ model: ServedModel, id: String) {
        self.request = request
        self.model = model
        self.id = id
        let wantsLogprobs = request.options.logProbabilities != nil
        choices = (0..<request.sequenceCount).map { index in
            let prompt = index / request.choices
            let echo = request.echoes && !request.isEmpty[prompt] ? model.tokenizer.decode(request.prompts[prompt]) : ""
            return CompletionResponse.Choice(text: echo, index: index, logprobs: wantsLogprobs ? Logprobs() : nil)
        }
        logprobs = choices.map { _ in LogprobsEncoder(model) }
        usages = choices.map { _ in nil }
    }

    /// Adds an event; returns the index of its sequence.
    mutating func add(_ event: CompletionEvent) -> Int {
        switch event {
        case .promptScored(let index, let scores):
            let prompt = index / request.choices
            let entries = logprobs[index].prompt(request.prompts[prompt], scores, isEmpty: request.isEmpty[prompt])
            choices[index].logprobs?.append(entries)
            return index
        case .text(let index, let text, let tokens):
            choices[index].text += text
            choices[index].logprobs?.append(logprobs[index].completion(tokens))
            return index
        case .end(let index, let reason, let usage):
            choices[index].finish_reason = reason.finishReason
            usages[index] = usage
            return index
        }
    }

    /// The usage of all sequences, also added to the request's log line. Throws ``APIError/clientHasGone`` when one has not
    /// ended, which happens only to cancelled requests.
    func usage(_ notes: RequestNotes) throws(APIError) -> CompletionResponse.Usage {
        let ended = usages.compactMap { $0 }
        guard ended.count == usages.count else { throw .clientHasGone }
        let usage = CompletionResponse.Usage(ended, choices: request.choices)
        notes.add("prompt_tokens", usage.prompt_tokens)
        notes.add("cached_tokens", usage.prompt_tokens_details.cached_tokens)
        notes.add("completion_tokens", usage.completion_tokens)
        return usage
    }

    /// Takes the part of a choice that has not been taken yet.
    mutating func take(_ index: Int) -> CompletionResponse {
        defer {
            choices[index].text = ""
            if choices[index].logprobs != nil { choices[index].logprobs = Logprobs() }
        }
        return body([choices[index]], usage: nil)
    }

    /// The response that holds all choices.
    func whole(_ usage: CompletionResponse.Usage) -> CompletionResponse { body(choices, usage: usage) }

    /// A response that holds `choices`.
    func body(_ choices: [CompletionResponse.Choice], usage: CompletionResponse.Usage?) -> CompletionResponse {
        CompletionResponse(
            id: id, created: created, model: model.name, system_fingerprint: model.fingerprint, choices: choices,
            usage: usage)
    }
}

extension StopReason {
    /// The name in OpenAI's interface.
    fileprivate var finishReason: String {
        switch self {
        case .endOfText, .stopString: "stop"
        case .maximumTokens, .contextFull: "length"
        case .cancelled: "cancelled"
        }
    }
}
