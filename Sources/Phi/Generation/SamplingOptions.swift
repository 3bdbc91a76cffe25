/// How the next token is chosen from the logits.
///
/// The steps come in the order of Hugging Face's `generate` (`generation/utils.py`): repeat penalty, temperature, top-k,
/// top-p, min-p; then one of the tokens that are left is drawn. Whatever is 0 or 1 as by default is left out.
///
/// ```swift
/// let options = try SamplingOptions(temperature: 0.7, topP: 0.95, seed: 1)
/// ```
public struct SamplingOptions: Sendable, Equatable {
    /// Logits are divided by it (Ackley et al. 1985); 0 takes the likeliest token always, and then only the repeat
    /// penalty has a say.
    public let temperature: Double
    /// Only the so many likeliest tokens are left (Fan et al. 2018, arXiv 1805.04833); 0 leaves all.
    public let topK: Int
    /// Only the likeliest tokens are left that are needed to reach this probability together, one at least (Holtzman et
    /// al. 2019, arXiv 1904.09751); 1 leaves all.
    public let topP: Double
    /// Only tokens are left that are at least this times as likely as the likeliest (Nguyen et al. 2024, arXiv
    /// 2407.01082); 0 leaves all.
    public let minP: Double
    /// Logits of tokens that the text has, prompt included, are divided by it where positive and multiplied where
    /// negative (CTRL, Keskar et al. 2019, arXiv 1909.05858; Hugging Face's `RepetitionPenaltyLogitsProcessor`); 1 does
    /// nothing.
    public let repeatPenalty: Double
    /// Where the random numbers begin: the same seed gives the same text, on any machine.
    public private(set) var seed: UInt64

    /// The likeliest token always: the default of everything.
    public static let greedy = SamplingOptions(uncheckedSeed: 0)

    /// Makes options; throws ``OptionError`` naming the first that is out of range: temperature finite and 0 or more,
    /// top-k 0 or more, top-p and min-p 0 to 1, repeat penalty finite and above 0.
    public init(
        temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0, repeatPenalty: Double = 1,
        seed: UInt64 = 0
    ) throws(OptionError) {
        guard temperature >= 0, temperature.isFinite else {
            throw OptionError(fault: "temperature is \(temperature), not a number from 0 on")
        }
        guard topK >= 0 else { throw OptionError(fault: "top-k is \(topK), not 0 or more") }
        guard (0...1).contains(topP) else { throw OptionError(fault: "top-p is \(topP), not 0 to 1") }
        guard (0...1).contains(minP) else { throw OptionError(fault: "min-p is \(minP), not 0 to 1") }
        guard repeatPenalty > 0, repeatPenalty.isFinite else {
            throw OptionError(fault: "repeat penalty is \(repeatPenalty), not a number above 0")
        }
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repeatPenalty = repeatPenalty
        self.seed = seed
    }

    /// The same with another seed, for one of several texts.
    public func seeded(_ seed: UInt64) -> SamplingOptions {
        var copy = self
        copy.seed = seed
        return copy
    }

    private init(uncheckedSeed seed: UInt64) {
        temperature = 0
        topK = 0
        topP = 1
        minP = 0
        repeatPenalty = 1
        self.seed = seed
    }
}

/// An option that is out of range.
public struct OptionError: Error, Equatable, CustomStringConvertible {
    /// Which one, and what it may be, in one line.
    public let fault: String

    /// Makes the error that says `fault`.
    public init(fault: String) { self.fault = fault }

    /// The fault.
    public var description: String { fault }
}
