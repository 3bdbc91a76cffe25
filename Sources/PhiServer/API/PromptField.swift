import Phi
import PhiTokenizer

/// Prompts in the forms of OpenAI's interface.
enum PromptField: JSONReadable {
    case texts([String])
    case tokens([[TokenID]])

    static let description = "a string, a list of strings, a list of token ids or a list of such lists"

    init?(_ json: JSONValue) {
        switch json {
        case .string(let text):
            self = .texts([text])
        case .array(let values):
            switch values.first {
            case nil:
                self = .tokens([])
            case .string:
                guard let texts = [String](json) else { return nil }
                self = .texts(texts)
            case .number:
                guard let tokens = [TokenID](json) else { return nil }
                self = .tokens([tokens])
            default:
                guard let lists = [[TokenID]](json) else { return nil }
                self = .tokens(lists)
            }
        default:
            return nil
        }
    }

    /// The number of prompts.
    var count: Int {
        switch self {
        case .texts(let texts): texts.count
        case .tokens(let lists): lists.count
        }
    }
}
