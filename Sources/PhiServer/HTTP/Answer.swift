import Foundation
import Phi

/// Puts the answer to one `/v1/completions` together.
struct Answer: Sendable {
    let call: CompletionCall
    private let model: ServedModel
    private let id: String
    private let created = Int(Date().timeIntervalSince1970)
    private let notes: RequestNotes

    init(_ call: CompletionCall, _ model: ServedModel, id: String, notes: RequestNotes) {
        self.call = call
        self.model = model
        self.id = id
        self.notes = notes
    }

    /// The text of a number at its beginning.
    func begin(_ number: Int) -> AnswerText {
        let prompt = number / call.choices
        let echo = call.echoes && !call.isEmpty[prompt] ? model.tokenizer.decode(call.prompts[prompt]) : ""
        let wantsScores = call.logProbabilities != nil
        return AnswerText(
            number, echo: echo, echoIsEmptyPrompt: call.isEmpty[prompt], wantsScores ? LogprobsWriter(model) : nil)
    }

    /// What all texts took, noted for the log.
    func usage(_ texts: [TextUsage]) -> CompletionBody.Usage {
        let usage = CompletionBody.Usage(texts, choices: call.choices)
        notes.note("prompt_tokens", usage.prompt_tokens)
        notes.note("cached_tokens", usage.prompt_tokens_details.cached_tokens)
        notes.note("completion_tokens", usage.completion_tokens)
        return usage
    }

    func body(_ choices: [CompletionBody.Choice], usage: CompletionBody.Usage?) -> CompletionBody {
        CompletionBody(
            id: id, created: created, model: model.name, system_fingerprint: model.fingerprint, choices: choices,
            usage: usage)
    }
}

/// A choice of an answer, as far as it has not been sent.
struct AnswerText {
    private var choice: CompletionBody.Choice
    private var writer: LogprobsWriter?
    private let echoIsEmptyPrompt: Bool

    init(_ number: Int, echo: String, echoIsEmptyPrompt: Bool, _ writer: LogprobsWriter?) {
        choice = CompletionBody.Choice(text: echo, index: number, logprobs: writer.map { _ in LogprobsBody() })
        self.writer = writer
        self.echoIsEmptyPrompt = echoIsEmptyPrompt
    }

    mutating func prompt(_ tokens: [ScoredToken]) {
        if let body = writer?.prompt(tokens, isEmpty: echoIsEmptyPrompt) { choice.logprobs?.append(body) }
    }

    mutating func made(_ text: String, _ tokens: [ScoredToken]) {
        choice.text += text
        if let body = writer?.made(tokens) { choice.logprobs?.append(body) }
    }

    mutating func end(_ reason: StopReason) { choice.finish_reason = reason.finishReason }

    /// What is there, and begins anew behind it.
    mutating func takeChoice() -> CompletionBody.Choice {
        defer {
            choice.text = ""
            choice.logprobs = writer.map { _ in LogprobsBody() }
        }
        return choice
    }
}
