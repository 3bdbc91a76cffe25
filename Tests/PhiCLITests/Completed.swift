/// The output of `phi complete --json`, field by field; a field of another type fails to decode.
struct Completed: Decodable, Equatable {
    struct Timings: Decodable, Equatable {
        let cached_tokens: Int
        let prefill_seconds: Double
        let prefill_tokens_per_second: Double?
        let decode_seconds: Double
        let decode_tokens_per_second: Double?
        let first_token_seconds: Double?
    }

    let prompt: String
    let prompt_ids: [Int]
    let text: String
    let ids: [Int]
    let stop_reason: String
    let stop_string: String?
    let seed: UInt64?
    let timings: Timings

    /// Completes `prompt` with the model at `path`.
    static func of(
        _ prompt: String, _ options: String..., path: String? = nil, environment: [String: String] = [:]
    ) throws -> Completed {
        let model = try path ?? Models.path()
        return try Command.run(["complete", "-m", model, "--json", prompt] + options, environment: environment)
            .json(Completed.self)
    }
}
