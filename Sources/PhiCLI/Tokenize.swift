import ArgumentParser
import Phi
import PhiFormat
import PhiCommandSupport
import PhiTokenizer

/// `phi tokenize`
struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Encode text on standard input as tokens, or decode tokens.",
        discussion: "Prints a line for each token: its id, and its bytes as a Python literal.")

    @OptionGroup var model: ModelOptions

    @Flag(help: "Print only the ids, as a JSON array.")
    var ids = false

    @Flag(help: "Read a JSON array of ids and print its text.")
    var decode = false

    func validate() throws {
        if ids && decode { throw ValidationError("--ids and --decode exclude each other.") }
    }

    func run() throws {
        let file = try model.openFile()
        let tokenizer = try LanguageModel.tokenizer(of: file)
        let input = try Console.readInput()
        if decode {
            let ids = try TokenIDs.parse(
                input, from: Console.inputName, vocabulary: tokenizer.vocabulary.count)
            try Console.write(tokenizer.decodeBytes(ids))
            return
        }
        let tokens = tokenizer.encode(bytes: input)
        if ids {
            try Console.write("[" + tokens.map(String.init).joined(separator: ", ") + "]\n")
        } else {
            let lines = tokens.map { "\($0)\t\(Self.shown(tokenizer.vocabulary.bytes(of: $0)))\n" }
            try Console.write(lines.joined())
        }
    }

    /// Bytes as a Python bytes literal.
    private static func shown(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef")
        return "b'"
            + bytes.map { byte in
                switch byte {
                case UInt8(ascii: "\\"): "\\\\"
                case UInt8(ascii: "'"): "\\'"
                case UInt8(ascii: "\n"): "\\n"
                case UInt8(ascii: "\t"): "\\t"
                case UInt8(ascii: "\r"): "\\r"
                case 32..<127: String(UnicodeScalar(byte))
                default: "\\x\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
                }
            }.joined() + "'"
    }
}
