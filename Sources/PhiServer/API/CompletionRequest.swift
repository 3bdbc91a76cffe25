import Phi
import PhiTokenizer

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A checked request for completions: each prompt is continued by `choices` sequences.
package struct CompletionRequest: Sendable {
    /// The token ids of the prompts, none of them empty and all in the vocabulary.
    let prompts: [[TokenID]]
    /// Whether each prompt was empty, so that the token that begins texts stands for it.
    let isEmpty: [Bool]
    /// Sequences that continue each prompt; the seed of the first is that of `options`, each further one's is greater by 1.
    let choices: Int
    let options: GenerationOptions
    let bias: LogitBias?
    /// Whether choices begin with their prompts.
    let echoes: Bool
    let streams: Bool
    let includesUsage: Bool

    /// The number of all sequences: prompt after prompt, choice after choice.
    var sequenceCount: Int { prompts.count * choices }

    /// Whether log-probabilities are wanted of the prompts' tokens too.
    var scoresPrompts: Bool { echoes && options.logProbabilities != nil }

    private static let fields: Set<String> = Set(SamplingParameter.all.map(\.fieldName)).union([
        "model", "prompt", "max_tokens", "n", "stream", "stream_options", "logprobs", "echo", "stop", "seed",
        "logit_bias", "user", "best_of", "suffix", "presence_penalty", "frequency_penalty", "ignore_eos",
    ])

    /// Makes a request of prompts that are not empty.
    package init(
        prompts: [[TokenID]], choices: Int = 1, _ options: GenerationOptions = .greedy, echoes: Bool = false
    ) {
        self.prompts = prompts
        self.choices = choices
        self.options = options
        self.echoes = echoes
        isEmpty = prompts.map { _ in false }
        bias = nil
        streams = false
        includesUsage = false
    }

    /// Parses and checks a body. Throws ``APIError`` that names the first field at fault.
    init(_ body: Data, _ model: ServedModel, _ limits: RequestLimits) throws(APIError) {
        let fields = try JSONFields(body, known: Self.fields)
        try model.check(name: fields.value("model", "a string"))
        streams = try fields.flag("stream")
        includesUsage = try Self.includesUsage(fields, streams: streams)
        echoes = try fields.flag("echo")
        choices = try fields.number("n", in: 1...limits.sequences) ?? 1
        try Self.refuseUnsupported(fields, choices: choices)
        _ = try fields.value("user", "a string", as: String.self)
        options = try Self.options(fields, model, limits)
        bias = try Self.bias(fields, vocabulary: model.vocabulary)
        guard let field = try fields.value("prompt", PromptField.description, as: PromptField.self) else {
            throw .invalid("prompt", "the request has no prompt")
        }
        guard field.count > 0 else { throw .invalid("prompt", "prompt is an empty list") }
        guard field.count <= limits.sequences / choices else {
            throw .invalid(
                "prompt",
                "\(field.count) prompts times n = \(choices) are more than the \(limits.sequences) sequences allowed")
        }
        let prompts = try model.tokens(of: field)
        isEmpty = prompts.map(\.isEmpty)
        self.prompts = prompts.map { $0.isEmpty ? [model.startOfText] : $0 }
    }

    private static func includesUsage(_ fields: JSONFields, streams: Bool) throws(APIError) -> Bool {
        struct Options: Decodable {
            let include_usage: Bool?
            let include_obfuscation: Bool?
        }
        guard let options = try fields.value("stream_options", "an object of true and false", as: Options.self) else {
            return false
        }
        guard streams else { throw .invalid("stream_options", "stream_options are for requests with stream = true") }
        return options.include_usage ?? false
    }

    /// Refuses the fields of OpenAI's interface that are not supported, unless they have no effect.
    private static func refuseUnsupported(_ fields: JSONFields, choices: Int) throws(APIError) {
        if let bestOf = try fields.value("best_of", "a number", as: Int.self), bestOf != choices {
            throw .invalid("best_of", "best_of other than n is not supported")
        }
        if let suffix = try fields.value("suffix", "a string", as: String.self), !suffix.isEmpty {
            throw .invalid("suffix", "suffix is not supported: the model is not trained to fill in")
        }
        for name in ["presence_penalty", "frequency_penalty"] {
            if let penalty = try fields.value(name, "a number", as: Double.self), penalty != 0 {
                throw .invalid(name, "\(name) is not supported; repeat_penalty is")
            }
        }
    }

    private static func options(
        _ fields: JSONFields, _ model: ServedModel, _ limits: RequestLimits
    ) throws(APIError) -> GenerationOptions {
        let logProbabilities = try fields.number("logprobs", in: 0...limits.logProbabilities)
        let maximumTokens = try fields.number("max_tokens", in: 0...model.context) ?? min(16, model.context)
        let sampling = try sampling(fields)
        let ignoresEndOfText = try fields.flag("ignore_eos")  // llama.cpp's name and vLLM's
        let stop = try fields.value("stop", "a string or a list of strings", as: StringsField.self)?.strings ?? []
        guard stop.count <= limits.stops else {
            throw .invalid("stop", "stop has \(stop.count) strings, more than \(limits.stops)")
        }
        guard stop.allSatisfy({ (1...limits.stopBytes).contains($0.utf8.count) }) else {
            throw .invalid("stop", "a stop string is empty or longer than \(limits.stopBytes) bytes")
        }
        do throws(OptionError) {
            return try GenerationOptions(
                maximumTokens: maximumTokens, sampling: sampling, stop: stop, logProbabilities: logProbabilities,
                ignoresEndOfText: ignoresEndOfText)
        } catch {
            throw .invalid(nil, error.description)
        }
    }

    private static func sampling(_ fields: JSONFields) throws(APIError) -> SamplingOptions {
        var sampling = SamplingOptions.greedy
        for parameter in SamplingParameter.all {
            let name = parameter.fieldName
            let description = (parameter.isWhole ? "a whole number" : "a number") + " (\(parameter.range))"
            // The default temperature is OpenAI's.
            let standard = name == "temperature" ? 1 : parameter.standard
            let value = try fields.value(name, description, as: Double.self) ?? standard
            do throws(OptionError) {
                try parameter.set(value, in: &sampling)
            } catch {
                throw .invalid(name, "\(name) is \(value), not \(description)")
            }
        }
        let seed = try fields.value("seed", "a whole number of 64 bits", as: Seed.self)
        return sampling.seeded(seed?.value ?? .random(in: 0...UInt64(UInt32.max)))
    }

    private static func bias(_ fields: JSONFields, vocabulary: Int) throws(APIError) -> LogitBias? {
        let description = "an object of token ids and numbers from -100 to 100"
        let entries = try fields.value("logit_bias", description, as: [String: Double].self) ?? [:]
        if entries.isEmpty { return nil }
        var biases: [TokenID: Float] = [:]
        for (name, bias) in entries {
            guard let token = TokenID(name), token >= 0, Int(token) < vocabulary else {
                throw .invalid("logit_bias", "logit_bias has a key that is not a token id from 0 to \(vocabulary - 1)")
            }
            guard (-100...100).contains(bias) else { throw .invalid("logit_bias", "logit_bias is not \(description)") }
            biases[token] = Float(bias)
        }
        do throws(OptionError) {
            return try LogitBias(biases)
        } catch {
            throw .invalid("logit_bias", error.description)
        }
    }
}

/// A seed in JSON, signed or unsigned.
private struct Seed: Decodable {
    let value: UInt64

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let signed = try? container.decode(Int64.self) {
            value = UInt64(bitPattern: signed)
        } else {
            value = try container.decode(UInt64.self)
        }
    }
}

/// A string or a list of strings.
private struct StringsField: Decodable {
    let strings: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        strings = try (try? container.decode(String.self)).map { [$0] } ?? container.decode([String].self)
    }
}

/// Prompts in the forms of OpenAI's interface.
enum PromptField: Decodable {
    case texts([String])
    case tokens([[TokenID]])

    static let description = "a string, a list of strings, a list of token ids or a list of such lists"

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .texts([text])
        } else if let tokens = try? container.decode([TokenID].self) {
            self = .tokens(tokens.isEmpty ? [] : [tokens])
        } else if let texts = try? container.decode([String].self) {
            self = .texts(texts)
        } else {
            self = .tokens(try container.decode([[TokenID]].self))
        }
    }

    /// The number of prompts.
    var count: Int {
        switch self {
        case .texts(let texts): texts.count
        case .tokens(let lists): lists.count
        }
    }
}

/// Limits of a request.
package struct RequestLimits: Sendable {
    /// Bytes of a body.
    package var bodyBytes = 1 << 20
    /// Sequences that one request may generate, prompts times choices.
    package var sequences = 128
    /// Most likely tokens that may be asked for at each place.
    package var logProbabilities = 20
    /// Stop strings.
    package var stops = 16
    /// Bytes of a stop string.
    package var stopBytes = 1024
    /// Duration of a request, its time in the queue included.
    package var time = Duration.seconds(600)

    /// The defaults.
    package init() {}
}
