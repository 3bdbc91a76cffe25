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
        var ends: [Int] = [], source = "", files: [ReadableFile] = []
        for name in CheckpointFiles.endsOfText {
            guard let file = try openIfPresent(directory, name) else { continue }
            if name == "generation_config.json" { files.append(file) }
            guard named.isEmpty, ends.isEmpty else { continue }
            let keys = try JSONText.decode(Keys.self, from: file)
            ends = keys.eos_token_id?.ids ?? []
            if let name = keys.eos_token?.content, let token = vocabulary.id(of: Array(name.utf8)) {
                ends.append(Int(token))
            }
            ends = ends.filter((0..<vocabulary.count).contains)
            source = name
        }
        try self.init(named: named, found: ends, in: source, of: directory.description, vocabulary, files: files)
    }

    /// The ends `named`, or else the tokens among those `found` in `source` of the checkpoint at `path`, or else the tokenizer's.
    init(
        named: [String], found: [Int], in source: String, of path: String, _ vocabulary: Vocabulary,
        files: [ReadableFile]
    ) throws(FormatError) {
        func id(of token: String) -> TokenID? { vocabulary.id(of: Array(token.utf8)) }
        var ends: [TokenID] = [], source = source
        for text in named {
            guard let token = Int(text).map({ TokenID(exactly: $0) }) ?? id(of: text),
                (0..<vocabulary.count).contains(Int(token))
            else { throw FormatError(path, "has no token \(text.shown), which --eos names") }
            (ends, source) = (ends + [token], "--eos")
        }
        if ends.isEmpty { ends = found.filter((0..<vocabulary.count).contains).map(TokenID.init) }
        let standard = id(of: Self.standard)
        if ends.isEmpty, let standard { (ends, source) = ([standard], "the tokenizer") }
        guard let first = ends.first else {
            throw FormatError(path, "names no end of text, and the tokenizer has no <|endoftext|>; give one by --eos")
        }
        var seen: Set<TokenID> = []
        ends = ends.filter { seen.insert($0).inserted }
        do throws(ModelConfigError) {
            bounds = try TextBounds(start: standard ?? first, ends: ends, vocabulary: vocabulary.count)
        } catch {
            throw FormatError(path, error.fault)
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
