/// How the next token is chosen from the logits.
///
/// The steps follow Hugging Face's `generate` (`generation/utils.py`): penalties, temperature, top-k, top-p, min-p; then one of
/// the remaining tokens is drawn.
///
/// ```swift
/// let options = try SamplingOptions(temperature: 0.7, topP: 0.95, seed: 1)
/// ```
public struct SamplingOptions: Sendable, Equatable {
    /// Divides the logits (Ackley et al. 1985). At 0 the most likely token is chosen, and only the penalties have an
    /// effect.
    public fileprivate(set) var temperature = 0.0
    /// The number of most likely tokens to draw from (Fan et al. 2018, arXiv 1805.04833); 0 for all.
    public fileprivate(set) var topK = 0
    /// The probability that the most likely tokens to draw from must reach together, one token at least (Holtzman et al. 2019,
    /// arXiv 1904.09751); 1 for all.
    public fileprivate(set) var topP = 1.0
    /// The least probability of a token to draw, as a fraction of the highest (Nguyen et al. 2024, arXiv 2407.01082); 0 for
    /// all.
    public fileprivate(set) var minP = 0.0
    /// Divides positive logits of tokens in the sequence, prompt included, and multiplies negative ones (CTRL, Keskar et al.
    /// 2019, arXiv 1909.05858; Hugging Face's `RepetitionPenaltyLogitsProcessor`); 1 has no effect.
    public fileprivate(set) var repeatPenalty = 1.0
    /// Subtracted from the logits of tokens that the completion contains, as by OpenAI's `presence_penalty`; 0 has no effect.
    public fileprivate(set) var presencePenalty = 0.0
    /// Subtracted from the logits of tokens as often as the completion contains them, as by OpenAI's `frequency_penalty`; 0 has
    /// no effect.
    public fileprivate(set) var frequencyPenalty = 0.0
    /// The seed of the random numbers: equal seeds give equal tokens, on any machine.
    public private(set) var seed: UInt64 = 0

    /// The most likely token always: the default of every parameter.
    public static let greedy = SamplingOptions()

    /// Creates options; throws ``OptionError`` naming the first parameter that is out of range: `temperature` must be finite
    /// and 0 or more, `topK` 0 or more, `topP` and `minP` 0 to 1, `repeatPenalty` finite and above 0 as a `Float`, `presencePenalty` and
    /// `frequencyPenalty` -2 to 2.
    public init(
        temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0, repeatPenalty: Double = 1,
        presencePenalty: Double = 0, frequencyPenalty: Double = 0, seed: UInt64 = 0
    ) throws(OptionError) {
        (self.temperature, self.topK, self.topP, self.minP) = (temperature, topK, topP, minP)
        (self.repeatPenalty, self.presencePenalty, self.frequencyPenalty) = (
            repeatPenalty, presencePenalty, frequencyPenalty
        )
        self.seed = seed
        for parameter in SamplingParameter.all { try parameter.check(parameter.value(in: self)) }
    }

    private init() {}

    /// A copy with another seed.
    public func seeded(_ seed: UInt64) -> SamplingOptions {
        var copy = self
        copy.seed = seed
        return copy
    }
}

extension SamplingOptions: CustomStringConvertible {
    /// Every parameter with its value, and the seed if there is a temperature: `temperature 0.8, top-k 0, ..., seed 7`.
    public var description: String {
        let parts = SamplingParameter.all.map { "\($0.name) \($0.text(in: self))" }
        return (parts + (temperature > 0 ? ["seed \(seed)"] : [])).joined(separator: ", ")
    }
}

/// A parameter of ``SamplingOptions`` beside the seed: its name, range, default and help.
///
/// ``all`` is the one table of them. The options of `phi complete` and `phi eval`, the server's request fields, and the
/// fingerprint and report of an evaluation are made from it; phi.h, PhiCAPI and the Python package state each parameter once more, which a
/// test compares with the table.
package struct SamplingParameter: Sendable {
    /// The name of the command line option, such as `top-k`.
    package let name: String
    /// The values allowed.
    package let range: Range
    /// The help of the command line option.
    package let help: String
    private let property: Property

    /// A range of finite numbers with whole bounds.
    package enum Range: Sendable, CustomStringConvertible {
        case atLeast(Int), above(Int), within(ClosedRange<Int>)

        package func contains(_ value: Double) -> Bool {
            switch self {
            case .atLeast(let bound): value >= Double(bound) && value.isFinite
            // As a Float, which is how it is used.
            case .above(let bound): Float(value) > Float(bound) && Float(value).isFinite
            case .within(let bounds): value >= Double(bounds.lowerBound) && value <= Double(bounds.upperBound)
            }
        }

        package var description: String {
            switch self {
            case .atLeast(let bound): "\(bound) or more"
            case .above(let bound): "above \(bound), in the range of 32-bit numbers"
            case .within(let bounds): "\(bounds.lowerBound) to \(bounds.upperBound)"
            }
        }
    }

    private enum Property: Sendable {
        case real(WritableKeyPath<SamplingOptions, Double> & Sendable)
        case whole(WritableKeyPath<SamplingOptions, Int> & Sendable)
    }

    /// All parameters. Their order is that of the fingerprint: append new ones.
    package static let all = [
        SamplingParameter(
            name: "temperature", range: .atLeast(0),
            help: "Divide the logits by this before drawing; 0 always takes the most likely token.",
            property: .real(\.temperature)),
        SamplingParameter(
            name: "top-k", range: .atLeast(0), help: "Draw from this many of the most likely tokens only; 0 for all.",
            property: .whole(\.topK)),
        SamplingParameter(
            name: "top-p", range: .within(0...1),
            help: "Draw from the most likely tokens that reach this probability together.", property: .real(\.topP)),
        SamplingParameter(
            name: "min-p", range: .within(0...1),
            help: "Draw from tokens with at least this fraction of the highest probability.", property: .real(\.minP)),
        SamplingParameter(
            name: "repeat-penalty", range: .above(0),
            help: "Divide the logits of tokens already in the sequence by this; 1 has no effect.",
            property: .real(\.repeatPenalty)),
        SamplingParameter(
            name: "presence-penalty", range: .within(-2...2),
            help: "Subtract this from the logits of tokens already in the completion; 0 has no effect.",
            property: .real(\.presencePenalty)),
        SamplingParameter(
            name: "frequency-penalty", range: .within(-2...2),
            help: "Subtract this from the logits of tokens as often as they are in the completion; 0 has no effect.",
            property: .real(\.frequencyPenalty)),
    ]

    /// The name in JSON, C and Python, such as `top_k`.
    package var fieldName: String { String(name.map { $0 == "-" ? "_" : $0 }) }

    /// Whether values are whole numbers.
    package var isWhole: Bool { if case .whole = property { true } else { false } }

    /// The value that has no effect.
    package var standard: Double { value(in: .greedy) }

    /// The parameter's value in `options`.
    package func value(in options: SamplingOptions) -> Double {
        switch property {
        case .real(let path): options[keyPath: path]
        case .whole(let path): Double(options[keyPath: path])
        }
    }

    /// The value as text: `40` or `0.95`.
    package func text(in options: SamplingOptions) -> String { text(value(in: options)) }

    /// Sets the parameter; throws ``OptionError`` when `value` is out of range.
    package func set(_ value: Double, in options: inout SamplingOptions) throws(OptionError) {
        try check(value)
        switch property {
        case .real(let path): options[keyPath: path] = value
        case .whole(let path): options[keyPath: path] = Int(exactly: value) ?? .max
        }
    }

    fileprivate func check(_ value: Double) throws(OptionError) {
        guard range.contains(value) else {
            throw OptionError(fault: "\(name) must be \(range), got \(text(value))")
        }
        guard !isWhole || value == value.rounded() else {
            throw OptionError(fault: "\(name) must be a whole number, got \(value)")
        }
    }

    private func text(_ value: Double) -> String {
        isWhole ? Int(exactly: value).map(String.init) ?? "\(value)" : "\(value)"
    }
}

/// An option that is out of range.
public struct OptionError: Error, Equatable, CustomStringConvertible {
    /// The option and its range, in one line.
    public let fault: String

    /// Creates an error with this message.
    public init(fault: String) { self.fault = fault }

    /// The fault.
    public var description: String { fault }
}
