import Phi
import PhiFormat
import PhiTokenizer

/// A checked request for completions: each prompt is continued by `choices` sequences.
package struct CompletionRequest: Sendable {
    /// The token ids of the prompts, none of them empty and all in the vocabulary.
    let prompts: [[TokenID]]
    /// Whether each prompt was empty, so that the token that begins texts stands for it.
    let isEmpty: [Bool]
    /// Sequences that continue each prompt; the seed of the first is that of `options`, each further one's is greater by 1.
    let choices: Int
    /// How many of them the response holds: those with the highest mean log-probability, if it is not all.
    let returned: Int
    private(set) var options: GenerationOptions
    /// All fields, while some give a constraint that ``compileConstraint()`` has not compiled.
    private var uncompiled: JSONFields?
    let bias: LogitBias?
    /// Whether choices begin with their prompts.
    let echoes: Bool
    /// Whether the response holds log-probabilities.
    let wantsLogprobs: Bool
    /// Whether the response holds token ids.
    let wantsTokens: Bool
    /// Only requests with the same ones share prefixes: `cache_salt`, which vLLM and SGLang have, and SGLang's `extra_key`.
    let cacheSalts: [String]
    let streams: Bool
    let includesUsage: Bool
    /// What the response says about fields that are not used.
    let warnings: [String]

    /// The number of all sequences: prompt after prompt, choice after choice.
    var sequenceCount: Int { prompts.count * choices }

    /// Whether log-probabilities are wanted of the prompts' tokens too.
    var scoresPrompts: Bool { echoes && wantsLogprobs }

    /// Makes a request of prompts that are not empty.
    package init(
        prompts: [[TokenID]], choices: Int = 1, _ options: GenerationOptions = .greedy, echoes: Bool = false
    ) {
        self.prompts = prompts
        self.choices = choices
        self.options = options
        self.echoes = echoes
        returned = choices
        isEmpty = prompts.map { _ in false }
        bias = nil
        cacheSalts = []
        wantsLogprobs = options.logProbabilities != nil
        (wantsTokens, streams, includesUsage, warnings) = (false, false, false, [])
    }

    /// Parses and checks a body, but for its constraint. Throws ``APIError`` that names the first field at fault.
    init(_ body: [UInt8], _ model: ServedModel, _ limits: RequestLimits, _ dialect: Dialect) throws(APIError) {
        let fields = try JSONFields(body, known: Self.fields, isStrict: limits.isStrict)
        let streamOptions = try fields.value(
            "stream_options", "an object of true and false", as: StreamOptions.self)
        let unused = streamOptions?.unused.map { "stream_options.\($0.printable)" } ?? []
        if limits.isStrict, let name = unused.first { throw .invalid("stream_options", "unknown field \(name)") }
        warnings = fields.warnings + unused.map { "unknown field \($0) is not used" }
        uncompiled = try Self.hasConstraint(fields) ? fields : nil
        try model.check(name: fields.value("model", "a string"))
        streams = try fields.flag("stream")
        includesUsage = streams && streamOptions?.includesUsage == true
        echoes = try fields.flag("echo")
        wantsTokens = try fields.flag("return_tokens")
        guard !wantsTokens || dialect == .llamaServer else {
            throw .invalid("return_tokens", "return_tokens is not supported: use /completion, or /tokenize")
        }
        cacheSalts = try ["cache_salt", "extra_key"].map { name throws(APIError) in
            try fields.value(name, "a string") ?? ""
        }
        let sequences = "a number from 1 to \(limits.sequences)"
        let number = try fields.value(["n", "n_cmpl"], sequences, as: Int.self) ?? ("n", 1)
        returned = number.value
        guard (1...limits.sequences).contains(returned) else {
            throw .invalid(number.name, "\(number.name) is \(returned), not \(sequences)")
        }
        choices = try fields.number("best_of", in: returned...limits.sequences) ?? returned
        guard choices == returned || !streams else {
            throw .invalid("best_of", "best_of above n is not for streams: the best choices are known at the end")
        }
        let alternatives = try Self.alternatives(fields, limits)
        wantsLogprobs = alternatives != nil
        // The best choices, and the tokens of llama-server's answers, are known by their log-probabilities.
        let needsTokens = choices > returned || dialect == .llamaServer
        options = try Self.options(
            fields, model, limits, dialect, logProbabilities: alternatives ?? (needsTokens ? 0 : nil))
        bias = try Self.bias(fields, vocabulary: model.vocabulary)
        guard let field = try fields.value("prompt", PromptField.description, as: PromptField.self) else {
            throw .invalid("prompt", "the request has no prompt")
        }
        guard field.count > 0 else { throw .invalid("prompt", "prompt is an empty list") }
        guard field.count <= limits.sequences / choices else {
            let name = choices == returned ? number.name : "best_of"
            throw .invalid(
                "prompt",
                "\(field.count) prompts times \(name) = \(choices) are more than the \(limits.sequences) sequences allowed"
            )
        }
        let prompts = try model.tokens(of: field)
        isEmpty = prompts.map(\.isEmpty)
        self.prompts = prompts.map { $0.isEmpty ? [model.startOfText] : $0 }
        guard logProbabilityCount <= limits.logProbabilitiesInAll else {
            throw .invalid(
                wantsLogprobs ? "logprobs" : nil,
                "this needs up to \(logProbabilityCount) log-probabilities of tokens, more than "
                    + "\(limits.logProbabilitiesInAll); ask for fewer tokens\(wantsLogprobs ? ", alternatives" : "") or choices"
            )
        }
    }

    /// Whether ``compileConstraint()`` has work to do.
    var isUncompiled: Bool { uncompiled != nil }

    /// Compiles the constraint, which may take a second. Throws ``APIError`` when there are two, or it is not supported.
    mutating func compileConstraint() throws(APIError) {
        guard let fields = uncompiled else { return }
        options.constraint = try Self.constraint(fields)
        uncompiled = nil
    }

    /// Whether encoding the response may take milliseconds.
    var hasLargeResponse: Bool { logProbabilityCount > 4096 }

    /// The most log-probabilities that the response can hold.
    private var logProbabilityCount: Int {
        guard let alternatives = options.logProbabilities else { return 0 }
        let tokens = prompts.reduce(0) { $0 + (scoresPrompts ? $1.count : 0) + (options.maximumTokens ?? 0) }
        return tokens * choices * (alternatives + 1)
    }
}

/// The interface in which a request for completions is written, which decides what absent fields mean.
enum Dialect: Sendable {
    case openAI, llamaServer

    /// The value of a sampling parameter that is absent.
    func standard(_ parameter: SamplingParameter) -> Double {
        let own: [String: Double] =
            switch self {
            case .openAI: ["temperature": 1]
            case .llamaServer: ["temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05]
            }
        return own[parameter.fieldName] ?? parameter.standard
    }
}

extension CompletionRequest {
    private static let lengths = ["max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens"]

    /// The names of a sampling parameter in requests.
    private static func names(of parameter: SamplingParameter) -> [String] {
        [parameter.fieldName] + (parameter.fieldName == "repeat_penalty" ? ["repetition_penalty"] : [])
    }

    private static let fields = Set(SamplingParameter.all.flatMap(names) + lengths).union([
        "model", "prompt", "n", "n_cmpl", "best_of", "stream", "stream_options", "logprobs", "n_probs", "echo", "stop",
        "cache_salt", "extra_key", "seed", "logit_bias", "ignore_eos", "min_tokens", "stop_token_ids", "repeat_last_n",
        "return_tokens",
    ]).union(constraintFields)

    private static func alternatives(_ fields: JSONFields, _ limits: RequestLimits) throws(APIError) -> Int? {
        let range = 0...limits.logProbabilities
        let description = "a number from 0 to \(range.upperBound)"
        guard let (name, field) = try fields.value(["logprobs", "n_probs"], description, as: LogprobsField.self),
            let count = field.alternatives
        else { return nil }
        guard range.contains(count) else { throw .invalid(name, "\(name) is \(count), not \(description)") }
        return name == "n_probs" && count == 0 ? nil : count
    }

    private static func options(
        _ fields: JSONFields, _ model: ServedModel, _ limits: RequestLimits, _ dialect: Dialect, logProbabilities: Int?
    ) throws(APIError) -> GenerationOptions {
        let maximumTokens = try maximumTokens(fields) ?? (dialect == .openAI ? 16 : model.context)
        let minimumTokens = try fields.number("min_tokens", in: 0...min(maximumTokens, model.context)) ?? 0
        let sampling = try sampling(fields, dialect)
        let ignoresEndOfText = try fields.flag("ignore_eos")
        let stop = try fields.value("stop", "a string or a list of strings", as: StringsField.self)?.strings ?? []
        guard stop.count <= limits.stops else {
            throw .invalid("stop", "stop has \(stop.count) strings, more than \(limits.stops)")
        }
        guard stop.allSatisfy({ (1...limits.stopBytes).contains($0.utf8.count) }) else {
            throw .invalid("stop", "a stop string is empty or longer than \(limits.stopBytes) bytes")
        }
        let stopTokens = try fields.value("stop_token_ids", "a list of token ids", as: [TokenID].self) ?? []
        guard stopTokens.count <= limits.stops else {
            throw .invalid("stop_token_ids", "stop_token_ids has \(stopTokens.count) ids, more than \(limits.stops)")
        }
        try model.check(tokens: stopTokens, of: "stop_token_ids")
        do throws(OptionError) {
            // Beyond the context there is nothing to generate.
            return try GenerationOptions(
                maximumTokens: min(maximumTokens, model.context), sampling: sampling, stop: stop,
                logProbabilities: logProbabilities, ignoresEndOfText: ignoresEndOfText, minimumTokens: minimumTokens,
                stopTokens: stopTokens)
        } catch {
            throw .invalid(nil, error.description)
        }
    }

    private static func maximumTokens(_ fields: JSONFields) throws(APIError) -> Int? {
        let description = "a whole number of 0 or more"
        guard let (name, count) = try fields.value(lengths, description, as: Int.self) else { return nil }
        // llama-server's n_predict of -1 is that of the context.
        if name == "n_predict", count == -1 { return .max }
        guard count >= 0 else { throw .invalid(name, "\(name) is \(count), not \(description)") }
        return count
    }

    private static func sampling(_ fields: JSONFields, _ dialect: Dialect) throws(APIError) -> SamplingOptions {
        var sampling = SamplingOptions.greedy
        for parameter in SamplingParameter.all {
            let description = (parameter.isWhole ? "a whole number" : "a number") + " (\(parameter.range))"
            let given = try fields.value(names(of: parameter), description, as: Double.self)
            let name = given?.name ?? parameter.fieldName
            let value = given?.value ?? dialect.standard(parameter)
            do throws(OptionError) {
                // vLLM's and SGLang's top_k of -1 is all tokens.
                try parameter.set(name == "top_k" && value == -1 ? parameter.standard : value, in: &sampling)
            } catch {
                throw .invalid(name, "\(name) is \(value), not \(description)")
            }
        }
        let isPenalised =
            sampling.repeatPenalty != 1 || sampling.presencePenalty != 0 || sampling.frequencyPenalty != 0
        if let count = try fields.value("repeat_last_n", "a whole number", as: Int.self), count != -1, isPenalised {
            throw .invalid("repeat_last_n", "repeat_last_n is not supported: penalties are for the whole sequence, -1")
        }
        let seed = try fields.value("seed", "a whole number of 64 bits", as: Seed.self)
        let isRandom = seed == nil || dialect == .llamaServer && seed?.isRandomForLlamaServer == true
        return sampling.seeded(isRandom ? .random(in: 0...UInt64(UInt32.max)) : seed?.value ?? 0)
    }

    private static func bias(_ fields: JSONFields, vocabulary: Int) throws(APIError) -> LogitBias? {
        let description = "an object of token ids and numbers from -100 to 100"
        let entries = try fields.value("logit_bias", description, as: BiasField.self)?.entries ?? []
        if entries.isEmpty { return nil }
        var biases: [TokenID: Float] = [:]
        for (name, bias) in entries {
            guard let token = TokenID(name), token >= 0, Int(token) < vocabulary else {
                throw .invalid("logit_bias", "logit_bias has a key that is not a token id from 0 to \(vocabulary - 1)")
            }
            guard (-100...100).contains(bias) || bias == -.infinity else {
                throw .invalid("logit_bias", "logit_bias is not \(description)")
            }
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
private struct Seed: JSONReadable {
    let value: UInt64

    init?(_ json: JSONValue) {
        guard case .number(let number) = json else { return nil }
        guard let value = number.whole(Int64.self).map(UInt64.init(bitPattern:)) ?? number.whole(UInt64.self) else {
            return nil
        }
        self.value = value
    }

    /// llama-server draws a seed for -1 and for its 32 bits.
    var isRandomForLlamaServer: Bool { value == .max || value == UInt64(UInt32.max) }
}

/// The options of a stream; members without an effect may have any value.
private struct StreamOptions: JSONReadable {
    let includesUsage: Bool
    /// The names of members that ask for what this server does not do, at most a few.
    let unused: [String]

    init?(_ json: JSONValue) {
        guard case .object(let members) = json else { return nil }
        let flag = members["include_usage"] ?? .null
        guard flag == .null || Bool(flag) != nil else { return nil }
        includesUsage = flag == .bool(true)
        // OpenAI's padding of events, which is never needed here, and vLLM's usage in each event, which comes at the end.
        let known = ["include_usage", "include_obfuscation", "continuous_usage_stats"]
        let others = members.filter { !known.contains($0.key) && $0.value != .null && $0.value != .bool(false) }
        unused = others.map { String($0.key.prefix(64)) }.sorted().prefix(8).map { $0 }
    }
}

/// A string or a list of strings.
private struct StringsField: JSONReadable {
    let strings: [String]

    init?(_ json: JSONValue) {
        guard let strings = String(json).map({ [$0] }) ?? [String](json) else { return nil }
        self.strings = strings
    }
}

/// A number of log-probabilities; false asks for none.
private struct LogprobsField: JSONReadable, Equatable {
    let alternatives: Int?

    init?(_ json: JSONValue) {
        if json == .bool(false) {
            alternatives = nil
        } else {
            guard let count = Int(json) else { return nil }
            alternatives = count
        }
    }
}

/// OpenAI's object of biases, or llama-server's list of pairs, in which false forbids a token.
private struct BiasField: JSONReadable {
    var entries: [(token: String, bias: Double)] = []

    init?(_ json: JSONValue) {
        switch json {
        case .object(let members):
            for (name, value) in members {
                guard let bias = Self.bias(value) else { return nil }
                entries.append((name, bias))
            }
        case .array(let pairs):
            for pair in pairs {
                guard case .array(let values) = pair, values.count == 2, let token = Int(values[0]),
                    let bias = Self.bias(values[1])
                else { return nil }
                entries.append(("\(token)", bias))
            }
        default:
            return nil
        }
    }

    private static func bias(_ json: JSONValue) -> Double? { json == .bool(false) ? -.infinity : Double(json) }
}
