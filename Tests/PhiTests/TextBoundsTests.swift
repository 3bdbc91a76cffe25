import Phi
import PhiCheckpoint
import PhiConvert
import PhiTestSupport
import PhiTokenizer
import Testing

/// Ends of text in files and in generations.
struct TextBoundsTests {
    private func model(endsOfText: [String], named names: [String: String] = [:]) throws -> LanguageModel {
        let folder = try TemporaryFolder()
        let path = try TinyCheckpoint().write(to: folder)
        for (name, text) in names { try folder.write("checkpoint/" + name, text) }
        let checkpoint = try CheckpointModel(path: path, endsOfText: endsOfText)
        _ = try Converter(checkpoint, type: .f32, threads: 1).write(to: folder.at("m.phi"))
        return try LanguageModel(contentsOf: folder.at("m.phi"))
    }

    /// A sampler that ignores the logits.
    private struct Script: TokenSampler {
        var tokens: [TokenID]
        mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
            tokens.removeFirst()
        }
    }

    private func complete(
        _ model: LanguageModel, _ tokens: [TokenID], stop: [String] = [], ignoresEndOfText: Bool = false
    ) throws -> Completion {
        let options = try GenerationOptions(
            maximumTokens: tokens.count, stop: stop, ignoresEndOfText: ignoresEndOfText)
        return try Session(model, threads: 1).complete([1], options, sampler: Script(tokens: tokens))
    }

    @Test func aFileCarriesAllEnds() throws {
        let several = try model(endsOfText: [], named: ["generation_config.json": #"{"eos_token_id": [70, 256, 71]}"#])
        #expect(several.textBounds.ends == [70, 256, 71] && several.textBounds.start == 256)
        #expect(several.config.endOfText == 70 && several.file.version == (1, 2))
        #expect(several.effectivePrompt([]) == [256] && several.effectivePrompt([3]) == [3])
        for (end, count) in [(70, 2), (71, 2), (256, 2)] as [(TokenID, Int)] {
            let made = try complete(several, [68, 69, end, 68])
            #expect(made.stopReason == .endOfText && made.tokens.count == count && made.text == "ef")
        }
        #expect(try complete(several, [68, 72]).stopReason == .maximumTokens)

        // One end that stands for an empty prompt too needs no section, and version 1.1's readers have all of it.
        let plain = try model(endsOfText: [])
        #expect(plain.textBounds.ends == [256] && plain.textBounds.start == 256 && plain.file.version == (1, 1))
        #expect(plain.file.section("generation") == nil)
        let other = try model(endsOfText: ["e"])
        #expect(other.textBounds.ends == [68] && other.textBounds.start == 256 && other.file.version == (1, 2))
        #expect(try complete(other, [256, 69, 68]).tokens == [256, 69])
    }

    @Test func endsCanBeIgnored() throws {
        let model = try model(endsOfText: ["f", "<|endoftext|>"])
        let made = try complete(model, [68, 69, 256, 68], ignoresEndOfText: true)
        #expect(made.stopReason == .maximumTokens && made.tokens == [68, 69, 256, 68] && made.text == "efe")
    }

    @Test func stopStringsMatchSpecialTokens() throws {
        let model = try model(endsOfText: ["f"])
        let tokens: [TokenID] = [68, 256, 70, 71]
        let whole = try complete(model, tokens, stop: ["<|endoftext|>"])
        #expect(whole.stopReason == .stopString("<|endoftext|>") && whole.text == "e" && whole.tokens == [68, 256])
        let across = try complete(model, tokens, stop: ["<|endoftext|>g"])
        #expect(across.stopReason == .stopString("<|endoftext|>g") && across.text == "e")
        #expect(across.tokens == [68, 256, 70])
        // A part of its text is in no text, and what stands on both sides of it is one.
        let none = try complete(model, tokens, stop: ["text|>g", "end"])
        #expect(none.stopReason == .maximumTokens && none.text == "egh")
        let around = try complete(model, tokens, stop: ["eg"])
        #expect(around.stopReason == .stopString("eg") && around.text.isEmpty && around.tokens == [68, 256, 70])
    }
}
