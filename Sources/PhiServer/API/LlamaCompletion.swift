import Hummingbird
import Phi
import PhiJSON
import PhiTokenizer

extension Endpoints {
    /// `POST /completion`, in older clients `/completions`: as `/v1/completions`, with the fields, defaults and answers of llama-server.
    func llamaCompletion(_ httpRequest: Request, _ context: PhiRequestContext) async throws -> Response {
        try await complete(httpRequest, context, .llamaServer, LlamaFormat.self)
    }

    /// `POST /infill`: always refused.
    func refuseInfill(_ request: Request, _ context: PhiRequestContext) throws -> Response { throw APIError.noInfill }
}

/// The responses of llama-server's `/completion`.
struct LlamaFormat: CompletionFormat {
    var state: CompletionState

    init(_ state: CompletionState) { self.state = state }

    mutating func event(_ index: Int) -> ByteBuffer { .event(takeBody(index, as: index, isStreamed: true)) }

    /// None: the last event of each sequence says that it has ended.
    func lastEvents(_ usage: CompletionResponse.Usage) -> [ByteBuffer] { [] }

    mutating func whole(_ usage: CompletionResponse.Usage) -> ByteBuffer {
        let indices = state.returned
        if indices.count == 1 { return .json(takeBody(indices[0], as: 0, isStreamed: false)) }
        var bodies = ByteBuffer()
        bodies.writeJSONArray(indices.count) { takeBody(indices[$0], as: $0, isStreamed: false) }
        return bodies
    }

    private mutating func takeBody(_ index: Int, as number: Int, isStreamed: Bool) -> JSONObject {
        let sequence = state.take(index)
        let request = state.request
        let prompt = index / request.choices
        let hasProbabilities = request.wantsLogprobs && !sequence.tokens.isEmpty
        let body: JSONObject = [
            "index": number, "content": sequence.text, "stop": sequence.end != nil,
            "tokens": request.wantsTokens ? sequence.tokens.map(\.token) : [],
            "id_slot": -1, "tokens_predicted": sequence.end?.usage.completionTokens ?? sequence.tokenCount,
            "tokens_evaluated": request.prompts[prompt].count,
            "completion_probabilities": hasProbabilities ? sequence.tokens.map(probabilities) : nil,
        ]
        guard let end = sequence.end else { return body }
        let text = request.isEmpty[prompt] ? "" : state.model.tokenizer.decode(request.prompts[prompt])
        return body + [
            "model": state.model.name, "prompt": text, "generation_settings": request.settings,
            "has_new_line": isStreamed ? nil : sequence.text.contains("\n"),
            "truncated": end.reason == .contextFull, "stop_type": end.reason.stopType,
            "stopping_word": end.reason.stoppingWord,
            "tokens_cached": end.usage.promptTokens + end.usage.completionTokens, "timings": timings(sequence),
            "warnings": request.warnings.isEmpty ? nil : request.warnings,
        ]
    }

    private func probabilities(_ choice: TokenChoice) -> JSONObject {
        func entry(_ token: TokenID, _ logProbability: Double) -> JSONObject {
            let bytes = Array(state.model.tokenizer.vocabulary.bytes(of: token))
            return [
                "id": token, "token": String(decoding: bytes, as: UTF8.self), "bytes": bytes.map(Int.init),
                "logprob": logProbability,
            ]
        }
        let top = choice.alternatives.map { entry($0.token, $0.logProbability) }
        return entry(choice.token, choice.logProbability) + ["top_logprobs": top]
    }

    /// From the slot to the first token the prompt's, the rest the completion's.
    private func timings(_ sequence: CompletionState.SequenceState) -> JSONObject? {
        guard let end = sequence.end else { return nil }
        let first = end.times.firstToken ?? end.times.end
        func times(_ name: String, _ count: Int, _ duration: Duration) -> JSONObject {
            let seconds = duration.seconds
            return JSONObject([
                (name: name + "_n", value: count), (name: name + "_ms", value: 1000 * seconds),
                (name: name + "_per_token_ms", value: 1000 * seconds / Double(max(count, 1))),
                (name: name + "_per_second", value: seconds > 0 ? Double(count) / seconds : 0),
            ])
        }
        return ["cache_n": end.usage.reusedTokens]
            + times("prompt", end.usage.promptTokens - end.usage.reusedTokens, first - end.times.start)
            + times("predicted", end.usage.completionTokens, end.times.end - first)
    }
}

extension CompletionRequest {
    /// The settings in llama-server's names.
    fileprivate var settings: JSONObject {
        GenerationSettings.json(options.sampling) + [
            "n_predict": options.maximumTokens, "max_tokens": options.maximumTokens, "stop": options.stop,
            "ignore_eos": options.ignoresEndOfText, "min_tokens": options.minimumTokens,
            "n_probs": wantsLogprobs ? options.logProbabilities : 0, "stream": streams,
        ]
    }
}

/// Sampling parameters in llama-server's names.
enum GenerationSettings {
    static func json(_ sampling: SamplingOptions) -> JSONObject {
        SamplingParameter.all.reduce(["seed": sampling.seed]) { settings, parameter in
            let value = parameter.value(in: sampling)
            let number: any Encodable & Sendable = if parameter.isWhole { Int(bounded: value) } else { value }
            return settings + JSONObject([(name: parameter.fieldName, value: number)])
        }
    }
}

extension StopReason {
    /// The name in llama-server's answers.
    fileprivate var stopType: String {
        switch self {
        case .endOfText, .complete: "eos"
        case .stopString: "word"
        case .maximumTokens, .contextFull: "limit"
        case .cancelled: "none"
        }
    }

    fileprivate var stoppingWord: String {
        if case .stopString(let text) = self { text } else { "" }
    }
}
