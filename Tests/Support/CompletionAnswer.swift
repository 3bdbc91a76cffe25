/// A response of `/v1/completions`, or an event of its stream.
package struct CompletionAnswer: Decodable {
    package struct Choice: Decodable {
        package struct Logprobs: Decodable {
            package let tokens: [String]
            package let token_logprobs: [Double?]
            package let top_logprobs: [[String: Double]?]
            package let text_offset: [Int]
        }
        package let text: String
        package let index: Int
        package let logprobs: Logprobs?
        package let finish_reason: String?
    }
    package struct Usage: Decodable {
        package struct Details: Decodable { package let cached_tokens: Int }
        package let prompt_tokens: Int
        package let completion_tokens: Int
        package let total_tokens: Int
        package let prompt_tokens_details: Details
    }
    package let id: String
    package let object: String
    package let model: String
    package let system_fingerprint: String
    package let choices: [Choice]
    package let usage: Usage?
    package let warnings: [String]?
}

/// An error in OpenAI's shape.
package struct ErrorAnswer: Decodable {
    package struct Fault: Decodable {
        package let message: String
        package let type: String
        package let param: String?
        package let code: String?
    }
    package let error: Fault
}
