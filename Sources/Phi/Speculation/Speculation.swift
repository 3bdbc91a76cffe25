import PhiTokenizer

/// Whether an engine computes tokens before they are chosen, and where it takes them from.
///
/// Decoding is bound by reading the weights, so a step that appends several tokens takes little longer than one of a single token.
/// Speculation appends the chosen token with a draft: tokens that are likely to follow. Those that are then chosen, by the same
/// logits and random numbers as ever, are accepted, and need no step of their own; the others are dropped. Tokens, texts and
/// log-probabilities are the same bits with and without.
///
/// The engine measures what its steps take and how many drafted tokens are accepted, and drafts as many as pay; none on a text that
/// cannot be foreseen.
///
/// ```swift
/// let session = try Session(model, speculation: Speculation(draftModel: LanguageModel(contentsOf: "small.phi")))
/// ```
public struct Speculation: Sendable {
    /// Drafts are continuations of what occurred before in prompt and output.
    public static let automatic = Speculation()
    /// No speculation.
    public static let off = Speculation(policy: .off)

    /// The text that also provides drafts.
    public var corpus: DraftCorpus?
    /// A smaller model with the same tokenizer that also provides drafts.
    public var draftModel: LanguageModel?
    /// How long drafts are.
    package var policy = Policy.measured
    /// For tests: returns a draft for a sequence, used instead of all others.
    package var source: (@Sendable ([TokenID]) -> [TokenID])?

    package enum Policy: Sendable, Equatable {
        /// As long as pays.
        case measured
        /// This long, 1 to ``mostDrafted``, where there are as many.
        case fixed(Int)
        case off
    }

    /// Whether there is none.
    package var isOff: Bool { policy == .off }

    /// The most tokens of a draft.
    package static let mostDrafted = 7

    /// Creates a choice of sources beside prompt and output.
    public init(corpus: DraftCorpus? = nil, draftModel: LanguageModel? = nil) {
        self.corpus = corpus
        self.draftModel = draftModel
    }

    package init(policy: Policy, source: (@Sendable ([TokenID]) -> [TokenID])? = nil) {
        self.policy = policy
        self.source = source
    }
}

extension Speculation {
    /// Returns an engine of the draft model for sequences of `model`; nil if there is none. Throws ``SessionError``.
    func draftEngine(for model: LanguageModel, context: Int, threads: Int) throws(SessionError) -> Engine? {
        guard let draftModel, policy != .off else { return nil }
        guard draftModel.hasTokenizer(of: model) else { throw .otherTokenizer }
        return try Engine(
            draftModel, context: min(context, draftModel.config.context), threads: threads, speculation: .off)
    }
}

/// Tokens that an engine drafted, and how many of them were accepted.
public struct DraftCounts: Sendable, Equatable {
    /// Tokens that were computed before they were chosen.
    public internal(set) var drafted = 0
    /// Those of them that were chosen.
    public internal(set) var accepted = 0

    package init() {}
}
