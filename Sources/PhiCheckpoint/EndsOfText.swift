import Phi
import PhiFormat
import PhiJSON
import PhiTokenizer

/// The tokens that end a checkpoint's texts, found where Hugging Face's `generate` finds them: those of the first file that
/// names any, of generation_config.json, config.json, tokenizer_config.json and special_tokens_map.json; else `<|endoftext|>`.
package struct EndsOfText: Sendable {
    package let bounds: TextBounds
    /// Where the ends stand: the name of a file, `--eos` or the tokenizer.
    package let source: String
    /// The files read that no other reader of the checkpoint reads.
    package let files: [ReadableFile]

    private static let standard = "<|endoftext|>"

    /// Finds the ends of text. `named` are ids or tokens to take instead of those of the files. An empty prompt stands for
    /// `<|endoftext|>`, or else for the first end.
    ///
    /// Throws ``FormatError`` when a file is damaged, when one of `named` is not a token, and when there is no end at all. Ids
    /// that are no tokens are passed over in files, since no text can end by them.
    package init(directory: FilePath, _ vocabulary: Vocabulary, named: [String] = []) throws(FormatError) {
        func id(of token: String) -> TokenID? { vocabulary.id(of: Array(token.utf8)) }
        var ends: [TokenID] = [], source = "--eos", files: [ReadableFile] = []
        for text in named {
            guard let token = Int(text).map({ TokenID(exactly: $0) }) ?? id(of: text),
                (0..<vocabulary.count).contains(Int(token))
            else { throw FormatError(directory, "has no token \(text.shown), which --eos names") }
            ends.append(token)
        }
        for name in ["generation_config.json", "config.json", "tokenizer_config.json", "special_tokens_map.json"] {
            guard let file = try openIfPresent(directory, name) else { continue }
            if name == "generation_config.json" { files.append(file) }
            guard ends.isEmpty else { continue }
            let keys = try JSONText.decode(Keys.self, from: file)
            ends = keys.eos_token_id?.ids.compactMap { TokenID(exactly: $0) } ?? []
            if let token = keys.eos_token.flatMap({ id(of: $0.content) }) { ends.append(token) }
            ends = ends.filter { $0 >= 0 && Int($0) < vocabulary.count }
            source = name
        }
        let standard = id(of: Self.standard)
        if ends.isEmpty, let standard { (ends, source) = ([standard], "the tokenizer") }
        guard let first = ends.first else {
            throw FormatError(
                directory, "names no end of text, and the tokenizer has no <|endoftext|>; give one by --eos")
        }
        var seen: Set<TokenID> = []
        ends = ends.filter { seen.insert($0).inserted }
        do throws(ModelConfigError) {
            bounds = try TextBounds(start: standard ?? first, ends: ends, vocabulary: vocabulary.count)
        } catch {
            throw FormatError(directory, error.fault)
        }
        self.source = source
        self.files = files
    }

    private struct Keys: Decodable {
        let eos_token_id: OneOrMany?
        let eos_token: TokenText?
    }

    /// `eos_token_id` is a number or a list of them.
    private struct OneOrMany: Decodable {
        let ids: [Int]
        init(from decoder: any Decoder) throws {
            ids = try (try? [Int(from: decoder)]) ?? [Int](from: decoder)
        }
    }
}
