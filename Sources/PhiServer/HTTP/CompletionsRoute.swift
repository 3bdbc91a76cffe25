import Foundation
import HTTPTypes
import Hummingbird
import Phi

/// `POST /v1/completions`
struct CompletionsRoute: Sendable {
    let model: ServedModel
    let scheduler: Scheduler
    let limits: RequestLimits
    let parser: BodyParser
    let logsPrompts: Bool

    func respond(to request: Request, _ context: PhiContext, id: String) async throws -> Response {
        let body = try await request.jsonBody(upTo: limits.bodyBytes)
        let call = try await parser.run { [model, limits] () throws(APIError) in
            try CompletionCall(body, model, limits)
        }
        if logsPrompts {
            context.notes.note("prompt", .array(call.prompts.map { .string(model.tokenizer.decode($0)) }))
        }
        let (job, events) = Job.make(
            prompts: call.prompts, choices: call.choices, options: call.options, bias: call.bias,
            logProbabilities: call.logProbabilities, scoresPrompts: call.echoes && call.logProbabilities != nil,
            timeLimit: limits.time)
        try scheduler.submit(job)
        let connection = await context.channel.connection()
        let watch = connection?.whenClosed { [scheduler] in scheduler.cancel(job) }
        @Sendable func stopWatching() { if let watch { connection?.callOff(watch) } }

        let answer = Answer(call, model, id: "cmpl-" + id, notes: context.notes)
        if call.streams { return stream(answer, job, events, finally: stopWatching) }
        defer { stopWatching() }
        return try await whole(answer, job, events)
    }

    /// Waits for all texts.
    private func whole(_ answer: Answer, _ job: Job, _ events: AsyncStream<Job.Event>) async throws -> Response {
        try await withTaskCancellationHandler {
            var texts = (0..<job.textCount).map { answer.begin($0) }
            var usages = [TextUsage?](repeating: nil, count: job.textCount)
            for await event in events {
                switch event {
                case .prompt(let number, let scores): texts[number].prompt(scores)
                case .piece(let number, let text, let tokens): texts[number].made(text, tokens)
                case .end(let number, let reason, let usage):
                    texts[number].end(reason)
                    usages[number] = usage
                case .failure(let error): throw error
                }
            }
            let ended = usages.compactMap { $0 }
            guard ended.count == job.textCount else { throw APIError.clientHasGone }
            return .json(answer.body(texts.indices.map { texts[$0].takeChoice() }, usage: answer.usage(ended)))
        } onCancel: {
            scheduler.cancel(job)
        }
    }

    /// Sends each piece as it comes.
    private func stream(
        _ answer: Answer, _ job: Job, _ events: AsyncStream<Job.Event>, finally: @escaping @Sendable () -> Void
    ) -> Response {
        let body = ResponseBody { [scheduler] writer in
            defer {
                scheduler.cancel(job)
                finally()
            }
            var texts = (0..<job.textCount).map { answer.begin($0) }
            var usages = [TextUsage?](repeating: nil, count: job.textCount)
            for await event in events {
                let number: Int
                switch event {
                case .prompt(let text, let scores):
                    texts[text].prompt(scores)
                    number = text
                case .piece(let text, let piece, let tokens):
                    texts[text].made(piece, tokens)
                    number = text
                case .end(let text, let reason, let usage):
                    texts[text].end(reason)
                    usages[text] = usage
                    number = text
                case .failure(let error):
                    // The head has gone out; OpenAI's clients take this for an error in the stream.
                    try await writer.write(.event(error))
                    try await writer.finish(nil)
                    return
                }
                try await writer.write(.event(answer.body([texts[number].takeChoice()], usage: nil)))
            }
            let ended = usages.compactMap { $0 }
            guard ended.count == job.textCount else { throw APIError.clientHasGone }
            let usage = answer.usage(ended)
            if answer.call.includesUsage { try await writer.write(.event(answer.body([], usage: usage))) }
            try await writer.write(.lastEvent)
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            // The last one keeps nginx from collecting a stream before it hands it on.
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store", .accelBuffering: "no",
            ], body: body)
    }
}

extension HTTPField.Name {
    fileprivate static var accelBuffering: Self { Self("X-Accel-Buffering") ?? .cacheControl }
}
