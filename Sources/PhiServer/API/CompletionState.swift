import Hummingbird
import Phi
import PhiTokenizer

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the events of a request's sequences have told so far; responses of each interface are made from it.
struct CompletionState: Sendable {
    let request: CompletionRequest
    let model: ServedModel
    /// The id of the HTTP request.
    let id: String
    let created = Int(Date().timeIntervalSince1970)
    private(set) var sequences: [SequenceState]

    /// One sequence: what no response has taken yet, and what is known of the whole.
    struct SequenceState: Sendable {
        /// Text that was not taken yet; the prompt's, at first, if the request echoes it.
        fileprivate(set) var text: String
        /// Tokens that were not taken yet, if the request wants log-probabilities.
        fileprivate(set) var tokens: [TokenChoice] = []
        /// The prompt's tokens but the first, if they are scored and not taken yet.
        fileprivate(set) var promptScores: [TokenChoice]?
        /// Generated tokens, if the request wants log-probabilities.
        fileprivate(set) var tokenCount = 0
        private var logProbability = 0.0
        fileprivate(set) var end: (reason: StopReason, usage: SequenceUsage, times: SequenceTimes)?

        fileprivate init(text: String) { self.text = text }

        fileprivate mutating func add(_ text: String, _ tokens: [TokenChoice]) {
            self.text += text
            self.tokens += tokens
            tokenCount += tokens.count
            logProbability = tokens.reduce(logProbability) { $0 + $1.logProbability }
        }

        /// The mean log-probability of the generated tokens; 0 if there are none.
        var meanLogProbability: Double { tokenCount == 0 ? 0 : logProbability / Double(tokenCount) }
    }

    init(_ request: CompletionRequest, _ model: ServedModel, id: String) {
        (self.request, self.model, self.id) = (request, model, id)
        sequences = (0..<request.sequenceCount).map { index in
            let prompt = index / request.choices
            let isEchoed = request.echoes && !request.isEmpty[prompt]
            return SequenceState(text: isEchoed ? model.tokenizer.decode(request.prompts[prompt]) : "")
        }
    }

    /// Adds an event; returns the index of its sequence.
    mutating func add(_ event: CompletionEvent) -> Int {
        switch event {
        case .promptScored(let index, let scores):
            sequences[index].promptScores = scores
            return index
        case .text(let index, let text, let tokens):
            sequences[index].add(text, tokens)
            return index
        case .end(let index, let reason, let usage, let times):
            sequences[index].end = (reason, usage, times)
            return index
        }
    }

    /// Takes what was not taken yet of a sequence.
    mutating func take(_ index: Int) -> SequenceState {
        defer { (sequences[index].text, sequences[index].tokens, sequences[index].promptScores) = ("", [], nil) }
        return sequences[index]
    }

    /// The sequences that a response holds: of each prompt those with the highest mean log-probabilities, the best first, or all
    /// in their order.
    var returned: [Int] {
        if request.returned == request.choices { return Array(sequences.indices) }
        return request.prompts.indices.flatMap { prompt in
            let candidates = prompt * request.choices..<(prompt + 1) * request.choices
            let ranked = candidates.sorted {
                let (first, second) = (sequences[$0].meanLogProbability, sequences[$1].meanLogProbability)
                return (-first, $0) < (-second, $1)
            }
            return ranked.prefix(request.returned)
        }
    }

    /// The usage of all sequences, also added to the request's log line. Throws ``APIError/clientHasGone`` when one has not
    /// ended, which happens only to cancelled requests.
    func usage(_ notes: RequestNotes) throws(APIError) -> CompletionResponse.Usage {
        let ended = sequences.compactMap { $0.end?.usage }
        guard ended.count == sequences.count else { throw .clientHasGone }
        let usage = CompletionResponse.Usage(ended, choices: request.choices)
        notes.add("prompt_tokens", usage.prompt_tokens)
        notes.add("cached_tokens", usage.prompt_tokens_details.cached_tokens)
        notes.add("completion_tokens", usage.completion_tokens)
        return usage
    }
}

/// An interface's responses to requests for completions.
protocol CompletionFormat: Sendable {
    init(_ state: CompletionState)
    var state: CompletionState { get set }

    /// Takes the part of a sequence that was not taken yet as an event of a stream.
    mutating func event(_ index: Int) -> ByteBuffer
    /// The events that end a stream.
    func lastEvents(_ usage: CompletionResponse.Usage) -> [ByteBuffer]
    /// The whole response.
    mutating func whole(_ usage: CompletionResponse.Usage) -> ByteBuffer
}
