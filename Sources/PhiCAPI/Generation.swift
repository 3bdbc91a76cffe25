// phi.h documents these functions.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CPhi
import Phi
import PhiTokenizer
import Synchronization

/// A generation and the memory that its last piece points to.
private final class GenerationHandle {
    var generation: Generation
    private let isCancelled = Atomic<Bool>(false)
    private var text = CArray<CChar>()
    private var alternatives = CArray<phi_token_probability>()

    init(_ generation: Generation) { self.generation = generation }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    func next() throws -> phi_piece? {
        func shouldContinue() -> Bool { !isCancelled.load(ordering: .relaxed) }
        guard shouldContinue(), generation.stopReason != .cancelled else { throw CancellationError() }
        guard let next = try generation.next(while: shouldContinue) else {
            if generation.stopReason == .cancelled { throw CancellationError() }
            return nil
        }
        text.set(to: next.text.utf8.map(CChar.init(bitPattern:)) + [0])
        alternatives.set(
            to: (next.choice?.alternatives ?? []).map {
                phi_token_probability(token: $0.token, reserved: 0, log_probability: $0.logProbability)
            })
        var piece = phi_piece.initial
        piece.token = next.token
        piece.stop = next.stopReason?.code ?? PHI_STOP_NOT
        piece.text = text.start
        piece.text_length = text.count - 1
        piece.log_probability = next.choice?.logProbability ?? .nan
        piece.alternatives = alternatives.count == 0 ? nil : alternatives.start
        piece.alternative_count = alternatives.count
        return piece
    }
}

/// C memory that holds the elements of the last call of `set`.
private struct CArray<Element: BitwiseCopyable>: ~Copyable {
    private(set) var count = 0
    private var memory = UnsafeMutableBufferPointer<Element>(start: nil, count: 0)

    /// NULL before the first call of `set`.
    var start: UnsafePointer<Element>? { UnsafePointer(memory.baseAddress) }

    mutating func set(to elements: [Element]) {
        if elements.count > memory.count {
            memory.deallocate()
            memory = .allocate(capacity: max(64, 2 * elements.count))
        }
        _ = memory.update(fromContentsOf: elements)
        count = elements.count
    }

    deinit { memory.deallocate() }
}

extension StopReason {
    fileprivate var code: phi_stop {
        switch self {
        case .endOfText: PHI_STOP_END_OF_TEXT
        case .stopString: PHI_STOP_STRING
        case .maximumTokens: PHI_STOP_MAXIMUM_TOKENS
        case .contextFull: PHI_STOP_CONTEXT_FULL
        case .complete: PHI_STOP_COMPLETE
        case .cancelled: PHI_STOP_NOT
        }
    }
}

extension Generation {
    fileprivate init(_ session: Session, _ prompt: [TokenID], _ options: phi_generation_options) throws {
        var stops: [String] = []
        for stop in try elements(options.stop, options.stop_count, "stop") {
            stops.append(try utf8(given(stop, "a stop string"), "a stop string"))
        }
        guard options.maximum_tokens >= -1 else {
            throw Failure.argument("maximum_tokens must be -1 or more, got \(options.maximum_tokens)")
        }
        guard options.log_probabilities >= -1 else {
            throw Failure.argument("log_probabilities must be -1 or more, got \(options.log_probabilities)")
        }
        guard options.reserved == 0 else { throw Failure.argument("reserved must be 0, got \(options.reserved)") }
        guard (0...1).contains(options.ignore_end_of_text) else {
            throw Failure.argument("ignore_end_of_text must be 0 or 1, got \(options.ignore_end_of_text)")
        }
        let sampling = try SamplingOptions(
            temperature: options.temperature, topK: Int(options.top_k), topP: options.top_p, minP: options.min_p,
            repeatPenalty: options.repeat_penalty, presencePenalty: options.presence_penalty,
            frequencyPenalty: options.frequency_penalty, seed: options.seed)
        var biases: [TokenID: Float] = [:]
        for bias in try elements(options.logit_bias, options.logit_bias_count, "logit_bias") {
            guard (0..<session.model.config.vocabulary).contains(Int(bias.token)) else {
                throw SessionError.notAToken(bias.token, vocabulary: session.model.config.vocabulary)
            }
            biases[bias.token, default: 0] += bias.bias
        }
        let sampler = Sampler(
            sampling, vocabulary: session.model.config.vocabulary,
            processors: biases.isEmpty ? [] : [try LogitBias(biases)])
        self.init(
            session, prompt,
            try GenerationOptions(
                maximumTokens: options.maximum_tokens < 0 ? nil : Int(options.maximum_tokens), sampling: sampling,
                stop: stops,
                logProbabilities: options.log_probabilities < 0 ? nil : Int(options.log_probabilities),
                ignoresEndOfText: options.ignore_end_of_text == 1, constraint: try Constraint(options)),
            sampler: sampler)
    }
}

extension Constraint {
    /// The caller's constraint; nil if there is none.
    fileprivate init?(_ options: phi_generation_options) throws {
        switch (options.regex, options.json_schema) {
        case (nil, nil): return nil
        case (let regex?, nil):
            try Self.checkStack()
            self = try .regex(utf8(regex, "regex"))
        case (nil, let schema?):
            try Self.checkStack()
            self = try .jsonSchema(utf8(schema, "json_schema"))
        default: throw Failure.argument("regex and json_schema are both given")
        }
    }

    /// Throws an error if the caller's stack may be too small to compile a constraint, which recurses.
    private static func checkStack() throws {
        guard !CallerStack.isSmall else {
            throw Failure(
                PHI_ERROR_STATE,
                "regex and json_schema need \(CallerStack.neededBytes / 1024) KB of the calling thread's stack")
        }
    }
}

/// Begins a generation of the tokens that `prompt` returns.
private func begin(
    _ session: OpaquePointer?, _ options: UnsafePointer<phi_generation_options>?,
    _ generation: UnsafeMutablePointer<OpaquePointer?>?, _ prompt: (Session) throws -> [TokenID]
) -> phi_status {
    status {
        let place = try given(generation, "generation")
        let session: Session = try object(session, "session")
        let tokens = try prompt(session)
        let options = try phi_generation_options(options, "options")
        place.pointee = handle(to: GenerationHandle(try Generation(session, tokens, options)))
        return PHI_OK
    }
}

@c @implementation
public func phi_generation_begin(
    _ session: OpaquePointer?, _ prompt: UnsafePointer<phi_token>?, _ count: Int,
    _ options: UnsafePointer<phi_generation_options>?, _ generation: UnsafeMutablePointer<OpaquePointer?>?
) -> phi_status {
    begin(session, options, generation) { _ in
        let tokens = try elements(prompt, count, "prompt")
        try reserve(count, times: MemoryLayout<TokenID>.size)
        return Array(tokens)
    }
}

@c @implementation
public func phi_generation_begin_text(
    _ session: OpaquePointer?, _ prompt: UnsafePointer<CChar>?, _ length: Int,
    _ options: UnsafePointer<phi_generation_options>?, _ generation: UnsafeMutablePointer<OpaquePointer?>?
) -> phi_status {
    begin(session, options, generation) { session in try encode(prompt, length, "prompt", session.model) }
}

@c @implementation
public func phi_generation_next(_ generation: OpaquePointer?, _ piece: UnsafeMutablePointer<phi_piece>?) -> phi_status {
    status {
        let generation: GenerationHandle = try object(generation, "generation")
        try phi_piece.check(piece, "piece")  // before a token is taken
        guard let next = try generation.next() else { return PHI_END }
        try next.write(to: piece, "piece")
        return PHI_OK
    }
}

@c @implementation
public func phi_generation_cancel(_ generation: OpaquePointer?) {
    if let generation: GenerationHandle = try? object(generation, "generation") { generation.cancel() }
}

@c @implementation
public func phi_generation_end(_ generation: OpaquePointer?) { release(generation, GenerationHandle.self) }
