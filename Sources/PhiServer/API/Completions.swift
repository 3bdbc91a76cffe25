import HTTPTypes
import Hummingbird

extension Endpoints {
    /// `POST /v1/completions`: continues prompts; the response comes whole or as a stream of events.
    func completions(_ httpRequest: Request, _ context: PhiRequestContext) async throws -> Response {
        try await complete(httpRequest, context, .openAI, OpenAIFormat.self)
    }

    /// Continues the prompts of a request in `dialect`, and answers in `format`.
    func complete(
        _ httpRequest: Request, _ context: PhiRequestContext, _ dialect: Dialect, _ format: (some CompletionFormat).Type
    ) async throws -> Response {
        let parsed = try await parser.parse(httpRequest) { [model, limits] body throws(APIError) in
            try CompletionRequest(body, model, limits, dialect)
        }
        let connection = await context.channel.connection()
        let request =
            parsed.isUncompiled ? try await parser.compile(parsed) { connection?.isOpen ?? true } : parsed
        if logsPrompts {
            context.notes.add("prompt", .array(request.prompts.map { .string(model.tokenizer.decode($0)) }))
        }
        context.notes.add(request.warnings)
        let submitted = SubmittedRequest(request, timeLimit: limits.time, key: context.apiKey)
        try queue.submit(submitted)
        let watch = connection?.whenClosed { submitted.cancel() }
        @Sendable func finish() {
            submitted.cancel()
            if let watch { connection?.removeHandler(watch) }
        }
        var response = format.init(CompletionState(request, model, id: context.requestID))
        if request.streams { return stream(response, submitted.events, context.notes, finally: finish) }
        defer { finish() }
        for try await event in submitted.events { _ = response.state.add(event) }
        let usage = try response.state.usage(context.notes)
        guard request.hasLargeResponse else { return .json(body: response.whole(usage)) }
        let body = try await parser.encode { [response] in
            var response = response
            return response.whole(usage)
        }
        return .json(body: body)
    }

    /// Sends an event for each piece of text.
    private func stream(
        _ response: some CompletionFormat, _ events: CompletionEvents, _ notes: RequestNotes,
        finally finish: @escaping @Sendable () -> Void
    ) -> Response {
        let body = ResponseBody { writer in
            defer { finish() }
            var response = response
            do {
                for try await event in events {
                    let index = response.state.add(event)
                    try await writer.write(response.event(index))
                }
                for event in response.lastEvents(try response.state.usage(notes)) { try await writer.write(event) }
            } catch let error as APIError {
                notes.add("error", .string(error.message))
                // The status is already sent. OpenAI's clients recognise an error among the events.
                try await writer.write(.event(error))
            } catch {
                notes.add("error", .string(APIError.clientHasGone.message))
                throw error
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            // The last header tells nginx not to buffer the stream.
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store", .accelBuffering: "no",
            ], body: body)
    }
}

extension HTTPField.Name {
    fileprivate static var accelBuffering: Self { Self("X-Accel-Buffering") ?? .cacheControl }
}
