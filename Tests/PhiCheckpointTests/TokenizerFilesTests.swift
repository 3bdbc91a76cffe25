import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

@Suite struct TokenizerFilesTests {
    /// tokens.txt holds what Python says each token's bytes are.
    @Test(arguments: CheckpointModelTests.fixtures.map(\.folder)) func readsEveryKindOfFile(_ folder: String) throws {
        let files = try TokenizerFiles(directory: fixture(folder))
        let lines = try String(contentsOfFile: fixture("tokens.txt"), encoding: .utf8).split(separator: "\n")
        #expect(files.vocabulary.count == lines.count)
        var special: [Int32: Bool] = [:]
        for added in files.vocabulary.addedTokens { special[added.id] = added.isSpecial }
        for (id, line) in lines.enumerated() {
            let hex = files.vocabulary.bytes(of: Int32(id)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                .joined()
            let mark = special[Int32(id)].map { $0 ? "!" : "+" } ?? ""
            #expect(hex + mark == line)
        }
        let merge = try #require(files.vocabulary.merges.first)
        #expect(merge.result == 256 && files.vocabulary.merges.count == 24)
        #expect(try files.vocabulary == TokenizerFiles(directory: fixture("current-safetensors-f32")).vocabulary)
    }

    @Test(.enabled(if: testData != nil, needsTestData)) func readsPhi1sTokenizer() throws {
        let data = try #require(testData)
        let files = try TokenizerFiles(directory: data + "/codegen-tokenizer")
        #expect(files.vocabulary.count == 50_295 && files.vocabulary.merges.count == 50_000)
        #expect(files.vocabulary.addedTokens.count == 39)
        #expect(files.vocabulary.bytes(of: 50_257).elementsEqual([UInt8](repeating: 0x20, count: 31)))
        #expect(files.vocabulary.bytes(of: 50_294).elementsEqual([9, 9]))
        #expect(files.vocabulary.bytes(of: 262).elementsEqual(" the".utf8))

        let slow = try TemporaryFolder()
        for name in ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"] {
            try FileManager.default.copyItem(atPath: "\(data)/codegen-tokenizer/\(name)", toPath: slow.at(name))
        }
        #expect(try TokenizerFiles(directory: slow.path).vocabulary == files.vocabulary)
    }

    /// GPT-2's pattern as it stands in JSON.
    static let pattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"#
    /// All 256 bytes and "ab", as small as a tokenizer.json can be.
    static func small(
        added: String = #"{"id":257,"content":"<|endoftext|>","special":true}"#, merges: String = #""a b""#,
        model: String = "", rest: String = "", split: String? = nil, behavior: String = "Isolated",
        preTokenizer: String = #""add_prefix_space":false"#,
        vocab: (inout [String: Int]) -> Void = { _ in }
    ) -> String {
        var tokens = ["ab": 256]
        let plain = Set(Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF))
        var next = 256
        for byte in 0..<256 {
            let scalar = plain.contains(byte) ? byte : next
            next += plain.contains(byte) ? 0 : 1
            tokens[String(UnicodeScalar(UInt16(scalar)).map(Character.init) ?? "?")] = byte
        }
        vocab(&tokens)
        let list = tokens.sorted { $0.value < $1.value }.map { text, id in
            let escaped = text == "\"" || text == "\\" ? "\\" + text : text
            return "\"\(escaped)\":\(id)"
        }
        var pre = #"{"type":"ByteLevel",\#(preTokenizer)}"#
        if let split {
            pre = """
                {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\(split)"},
                "behavior":"\(behavior)","invert":false},\(pre)]}
                """
        }
        return """
            {\(rest)"added_tokens":[\(added)],"pre_tokenizer":\(pre),
            "model":{\(model)"type":"BPE","vocab":{\(list.joined(separator: ","))},"merges":[\(merges)]}}
            """
    }

    private func fault(of json: String) throws -> String {
        let copy = try CheckpointCopy()
        try copy.write("tokenizer.json", json)
        return PhiTestSupport.fault { _ = try TokenizerFiles(directory: copy.path) }
    }

    @Test func acceptsTheSmallest() throws {
        #expect(try fault(of: Self.small()) == "")
        #expect(try fault(of: Self.small(merges: #"["a","b"]"#, model: #""unk_token":null,"dropout":null,"#)) == "")
        #expect(try fault(of: Self.small(rest: #""normalizer":null,"post_processor":null,"decoder":null,"#)) == "")
    }

    @Test func acceptsWhatChangesNothing() throws {
        let nothing = #"{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}}]}"#
        let processors = #"{"type":"Sequence","processors":[{"type":"ByteLevel"},\#(nothing)]}"#
        #expect(try fault(of: Self.small(rest: #""post_processor":\#(processors),"#)) == "")
        let noRegex = #""add_prefix_space":false,"use_regex":false"#
        #expect(try fault(of: Self.small(split: Self.pattern, preTokenizer: noRegex)) == "")
        // Every byte has a token.
        #expect(try fault(of: Self.small(model: #""unk_token":"no such","fuse_unk":true,"#)) == "")
        #expect(try fault(of: Self.small(added: #"{"id":257,"content":""}"#)) == "")
        // GPT-2's tokenizer asks tokenizer_config.json instead.
        #expect(try fault(of: Self.small(preTokenizer: #""trim_offsets":true"#)) == "")
    }

    /// With the class of whatever tokenizer.json says.
    private func faultOfFast(_ json: String, config: String = "", class name: String = "PreTrainedTokenizerFast") throws
        -> String
    {
        let copy = try CheckpointCopy()
        try copy.write("tokenizer.json", json)
        try copy.write("tokenizer_config.json", #"{\#(config)"tokenizer_class":"\#(name)"}"#)
        return PhiTestSupport.fault { _ = try TokenizerFiles(directory: copy.path) }
    }

    @Test func asksTheClass() throws {
        let prefix = "pre_tokenizer.add_prefix_space is set"
        #expect(try faultOfFast(Self.small(preTokenizer: #""trim_offsets":true"#)).contains(prefix))
        #expect(try faultOfFast(Self.small(preTokenizer: #""add_prefix_space":true"#)).contains(prefix))
        #expect(try faultOfFast(Self.small(), class: "Qwen2TokenizerFast").contains("'Qwen2TokenizerFast' is not"))
        let fewer = Self.small(model: #""unk_token":"no such","#) {
            $0["a"] = nil
            $0["aaa"] = 97
        }.replacingOccurrences(of: #""a b""#, with: "")
        #expect(try faultOfFast(fewer).contains("model.unk_token 'no such' is not in model.vocab"))
        #expect(try faultOfFast(fewer, class: "GPT2Tokenizer") == "")
        let fused = fewer.replacingOccurrences(of: #""no such""#, with: #""b","fuse_unk":true"#)
        #expect(try faultOfFast(fused).contains("model.fuse_unk is set"))
        let bos = #""add_bos_token":true,"#
        #expect(try faultOfFast(Self.small(), config: bos) == "")
        let tokens = #""added_tokens_decoder":{"257":{"content":"<|endoftext|>","rstrip":true}},"#
        #expect(try faultOfFast(Self.small(), config: tokens).contains("rstrip of added token '<|endoftext|>' is set"))
        let bad = #""added_tokens_decoder":{"a":{"content":"<|endoftext|>"}},"#
        #expect(try faultOfFast(Self.small(), config: bad).contains("the key 'a' is no id"))
    }

    /// A token that no file gives an id follows the others if the model has a row for it.
    @Test func leavesOutWhatTheModelHasNoRowFor() throws {
        for (rows, count) in [(257, 257), (258, 258), (320, 258)] {
            let folder = try TemporaryFolder()
            try folder.write("tokenizer.json", Self.small(added: ""))
            try folder.write("config.json", #"{"vocab_size": \#(rows)}"#)
            #expect(try TokenizerFiles(directory: folder.path).vocabulary.count == count)
        }
    }

    /// A token that tokenizer.json gives an id stays, and the model is refused: in Hugging Face's hands its texts would fail.
    @Test(arguments: ["PreTrainedTokenizerFast", "GPT2Tokenizer"]) func keepsWhatHasAnID(_ name: String) throws {
        let folder = try TemporaryFolder()
        let more =
            #"{"id":257,"content":"<|endoftext|>","special":true},{"id":258,"content":"<|im_start|>","special":true}"#
        try folder.write("tokenizer.json", Self.small(added: more))
        try folder.write("tokenizer_config.json", #"{"tokenizer_class":"\#(name)"}"#)
        for rows in [257, 258, 259] {
            try folder.write("config.json", #"{"vocab_size": \#(rows)}"#)
            #expect(try TokenizerFiles(directory: folder.path).vocabulary.count == 259)
        }
    }

    @Test func marksThePassOnlyWhereItMatters() throws {
        func second(_ first: [String], _ later: [String]) throws -> Bool {
            let tokens = (first.map { ($0, false) } + later.map { ($0, true) }).enumerated().map { index, token in
                #"{"id":\#(257 + index),"content":"\#(token.0)","normalized":\#(token.1)}"#
            }
            let folder = try TemporaryFolder()
            try folder.write("tokenizer.json", Self.small(added: tokens.joined(separator: ",")))
            return try TokenizerFiles(directory: folder.path).vocabulary.addedTokens.contains(where: \.isInSecondPass)
        }
        #expect(try !second(["<|endoftext|>", "<|im_end|>"], ["  ", "    ", "im", "<|"]))
        #expect(try !second([], ["a b", "bb"]))
        // What begins in a token of the first pass and ends behind it does not begin before it.
        #expect(try !second(["x  "], ["  "]))
        #expect(try second(["  x"], ["  "]))
        #expect(try second(["xx"], ["xxx"]))
        #expect(try second(["xx"], ["yxxy"]))
        #expect(try second(["zz", "xx"], ["  ", "zzy"]))
    }

    @Test func keepsEquivalentTextsApart() throws {
        // One letter as one scalar and as three: equal to Swift, not to a tokenizer.
        let copy = try CheckpointCopy()
        let two = #"{"id":257,"content":"\u1ec7"},{"id":258,"content":"e\u0323\u0302"}"#
        try copy.write("tokenizer.json", Self.small(added: two))
        let vocabulary = try TokenizerFiles(directory: copy.path).vocabulary
        #expect(vocabulary.bytes(of: 257).elementsEqual([0xE1, 0xBB, 0x87]))
        #expect(vocabulary.bytes(of: 258).elementsEqual([0x65, 0xCC, 0xA3, 0xCC, 0x82]))
    }

    @Test func refusesByName() throws {
        let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
        let template = #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}]}"#
        let cases: [(json: String, fault: String)] = [
            ("", "is not JSON"), ("[]", "is not a JSON object"), ("{}", "has no 'model'"),
            (Self.small(rest: #""x":\#(deep),"#), "is not JSON"),
            (Self.small(rest: #""normalizer":{"type":"NFC"},"#), "normalizer 'NFC' is not supported"),
            (Self.small(rest: #""post_processor":{"type":"TemplateProcessing"},"#), "'TemplateProcessing' adds tokens"),
            (Self.small(rest: #""post_processor":\#(template),"#), "'TemplateProcessing' adds tokens"),
            (Self.small(rest: #""decoder":{"type":"WordPiece"},"#), "decoder 'WordPiece' is not ByteLevel"),
            (Self.small(preTokenizer: #""add_prefix_space":false,"use_regex":false"#), "use_regex false is set"),
            (Self.small(model: #""ignore_merges":true,"#), "model.ignore_merges is set"),
            (Self.small(model: #""byte_fallback":true,"#), "model.byte_fallback is set"),
            (Self.small(model: #""dropout":0.1,"#), "model.dropout is set"),
            (Self.small(model: #""continuing_subword_prefix":"@","#), "model.continuing_subword_prefix is set"),
            (Self.small(model: #""end_of_word_suffix":"</w>","#), "model.end_of_word_suffix is set"),
            (Self.small().replacingOccurrences(of: "\"BPE\"", with: "\"Unigram\""), "model 'Unigram' is not BPE"),
            (Self.small().replacingOccurrences(of: "\"ByteLevel\"", with: "\"Split\""), "'Split' is not ByteLevel"),
            (Self.small(split: "\\\\p{N}{1,3}"), #"'Split' by '\p{N}{1,3}' is not GPT-2's"#),
            (Self.small(split: Self.pattern, preTokenizer: "\"use_regex\":true"), "use_regex beside 'Split' is set"),
            (Self.small(split: Self.pattern, behavior: "Removed"), "is not GPT-2's"),
            (Self.small(added: #"{"id":258,"content":"x y"}"#), "has no token of id 257, though there are higher ones"),
            (Self.small(added: #"{"id":257,"content":"xx"},{"id":257,"content":"yy"}"#), "two tokens have id 257"),
            (
                Self.small(added: #"{"id":257,"content":"xx"},{"id":258,"content":"xx"}"#),
                "'xx' has the two ids 257 and 258"
            ),
            (Self.small(added: #"{"id":257,"content":"ab"}"#), "token 'ab' has the two ids 256 and 257"),
            (Self.small(added: #"{"id":97,"content":"xx"}"#), "two tokens have id 97"),
            (Self.small(added: #"{"id":-1,"content":"xx"}"#), "token 'xx' has id -1"),
            (Self.small(added: #"{"id":9223372036854775807,"content":"xx"}"#), "has id 9223372036854775807"),
            (
                Self.small(added: #"{"id":18446744073709551615,"content":"xx"}"#),
                "holds a number or a text that"
            ),
            (Self.small(added: #"{"id":257,"content":"xx","lstrip":true}"#), "lstrip of added token 'xx' is set"),
            (Self.small(added: #"{"id":257,"content":"xx","rstrip":true}"#), "rstrip of added token 'xx' is set"),
            (Self.small(added: #"{"id":257,"content":"xx","single_word":true}"#), "single_word of added token 'xx'"),
            (Self.small(merges: #""a c""#), "merge 'a c' has no token"),
            (Self.small(merges: #""ab""#), "merge 'ab' is not a pair"),
            (Self.small(merges: #""a  b""#), "merge 'a  b' is not a pair"),
            (Self.small(merges: #"["a","b","c"]"#), "merge 'a b c' is not a pair"),
            (Self.small(merges: "7"), "'model.merges.[0]' is not"),
            (Self.small(merges: #""a b","a b""#), "duplicate pair"),
            (Self.small { $0["ab"] = nil }, "has no token of id 256"),
            (Self.small { $0["a"] = nil }, "has no token of id 97"),
            (Self.small { $0["zz"] = 97 }, "has no token of id 257"),
            (Self.small(added: "") { $0[" "] = 257 }, "token ' ' has a character that stands for no byte"),
            (Self.small(added: #"{"id":32,"content":"Ġ"}"#), "'Ġ' is both a byte's and an added token"),
            (Self.small { $0["zz"] = 1 << 40 }, "token 'zz' has id 1099511627776"),
            (Self.small { $0["zz"] = 2_000_000_000 }, "has no token of id 257"),
        ]
        for (json, expected) in cases {
            let text = try fault(of: json)
            #expect(text != "" && text.contains(expected), "'\(text)', not '\(expected)'")
        }
    }

    @Test func refusesSlowFiles() throws {
        func fault(_ spoil: (CheckpointCopy) throws -> Void) throws -> String {
            let copy = try CheckpointCopy(of: "transformer-bin-f16")
            try spoil(copy)
            do {
                _ = try TokenizerFiles(directory: copy.path)
                return ""
            } catch {
                return error.description.replacingOccurrences(of: copy.path + "/", with: "")
            }
        }
        #expect(try fault { _ in } == "")
        #expect(try fault { try $0.remove("merges.txt") } == "merges.txt: no such file")
        #expect(try fault { try $0.remove("vocab.json") }.contains("holds no tokenizer"))
        #expect(try fault { try $0.write("merges.txt", "#version: 0.2\r\ni n\r\n\r\n") } == "")
        #expect(
            try fault { try $0.write("merges.txt", "i n\n#version: 0.2\n") }.contains("merge '#version: 0.2' has no"))
        #expect(try fault { try $0.write("merges.txt", "i n d\n") } == "merges.txt: line 1 is not a pair")
        #expect(try fault { try $0.write("vocab.json", "[]") } == "vocab.json: is not a JSON object")
        #expect(try fault { try $0.write("vocab.json", #"{"a":0,"a":1}"#) } == "vocab.json: holds the key 'a' twice")
        #expect(
            try fault { try $0.write("added_tokens.json", #"{"x y": 999}"#) }.hasPrefix(
                "added_tokens.json: has no token of id 281"))
        let prefix = #"{"add_prefix_space": true}"#
        #expect(try fault { try $0.write("tokenizer_config.json", prefix) }.contains("add_prefix_space is set"))
        let begin = #"{"add_bos_token": true}"#
        #expect(try fault { try $0.write("tokenizer_config.json", begin) }.contains("add_bos_token is set"))
        let pad = #"{"pad_token": {"content": "<pad>", "lstrip": true}}"#
        // The fault is that of the file with the token.
        let flag = "lstrip of added token '<pad>' is set; phi's tokenizer does not know it"
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            #expect(try fault { try $0.write(name, pad) } == "\(name): \(flag)")
        }
        let listed = #"{"added_tokens_decoder": {"281": {"content": "<pad>", "lstrip": true}}}"#
        #expect(try fault { try $0.write("tokenizer_config.json", listed) } == "tokenizer_config.json: \(flag)")
        #expect(
            try fault { try $0.write("tokenizer_config.json", #"{"tokenizer_class": "LlamaTokenizer"}"#) }
                .hasPrefix("tokenizer_config.json: tokenizer_class 'LlamaTokenizer' is not supported"))
    }

    /// Files from which a reader without limits makes many times their bytes.
    @Test func refusesListsBeyondAnyTokenizer() throws {
        func fault(_ spoil: (CheckpointCopy) throws -> Void) throws -> String {
            let copy = try CheckpointCopy(of: "transformer-bin-f16")
            try spoil(copy)
            return PhiTestSupport.fault { _ = try TokenizerFiles(directory: copy.path) }
        }
        let spaces = [UInt8](repeating: 0x20, count: 4 << 20)
        #expect(try fault { try $0.write("merges.txt", spaces) } == "line 1 is not a pair")
        let pairs = String(repeating: "i n\n", count: 1 << 20) + "i n\n"
        #expect(try fault { try $0.write("merges.txt", pairs) } == "has more than 1048576 merges")
        #expect(
            try fault {
                let tokens = (281..<281 + 1 << 16).map { "\"<\($0)>\": \($0)" }.joined(separator: ", ")
                try $0.write("added_tokens.json", "{\(tokens)}")
            }.hasPrefix("has more added tokens than any tokenizer, the last is"))
        let long = String(repeating: "a", count: 1 << 20)
        #expect(
            try fault { try $0.write("added_tokens.json", "{\"\(long)\": 281}") }
                .hasPrefix("has more added tokens than any tokenizer, the last is "))
        let twice = #"{"added_tokens_decoder": {"281": {"content": "<a>"}, "0281": {"content": "<b>"}}}"#
        #expect(try fault { try $0.write("tokenizer_config.json", twice) }.contains("two keys are the id 281"))
    }

    @Test func marksSpecialTokensOfSlowFiles() throws {
        let copy = try CheckpointCopy(of: "transformer-bin-f16")
        try copy.write("special_tokens_map.json", #"{"additional_special_tokens": [{"content": "\t\t"}, "in"]}"#)
        let vocabulary = try TokenizerFiles(directory: copy.path).vocabulary
        func isSpecial(_ text: String) -> Bool? { vocabulary.id(of: Array(text.utf8)).map(vocabulary.isSpecial) }
        #expect(isSpecial("in") == true && isSpecial("<|endoftext|>") == true)
        // As in transformers 5: added_tokens.json and this key have no say about each other.
        #expect(isSpecial("\t\t") == false)
        #expect(isSpecial("  ") == false && isSpecial("re") ?? false == false)
    }
}
