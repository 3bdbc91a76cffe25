import Phi
import PhiConvert
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// The section `tests` written, replayed and wrong in every part.
struct VerificationTests {
    private static let texts = ["", "the", "é\n  <|endoftext|>"]
    private static let prompt: [TokenID] = [1, 2, 3, 200]

    private func good(_ model: LanguageModel) throws -> ModelTests {
        try ModelTests.make(model: model, texts: Self.texts, prompt: Self.prompt)
    }

    private func verify(_ change: @escaping (ModelTests) -> ModelTests) throws {
        try TinyPhi().model(.q4) { change(try good($0)) }.verifyTests()
    }

    private func changed(
        _ tests: ModelTests, texts: [ModelTests.Text]? = nil, prompt: [TokenID]? = nil, deviation: Float? = nil,
        expected: [ModelTests.Logit]? = nil
    ) -> ModelTests {
        ModelTests(
            texts: texts ?? tests.texts, prompt: prompt ?? tests.prompt, deviation: deviation ?? tests.deviation,
            expected: expected ?? tests.expected)
    }

    @Test
    func whatAModelGivesItReproduces() throws {
        let model = try TinyPhi().model(.q4) { try good($0) }
        try model.verifyTests()
        try model.verifyWeights()
        try model.file.verify()
        let tests = try #require(try model.tests())
        #expect(tests == (try good(model)))
        #expect(tests.expected.count == 5)
        #expect(tests.expected.map(\.value) == tests.expected.map(\.value).sorted(by: >))
        try TinyPhi().model(.q4).verifyTests()  // none there
    }

    @Test
    func theLengthIsKnownBeforehand() throws {
        let model = try TinyPhi().model(.q4)
        let before = ModelTests.placeholder(tokenizer: model.tokenizer, texts: Self.texts, prompt: Self.prompt)
        #expect(before.section().count == (try good(model)).section().count)
        _ = try TinyPhi().model(.q4) { _ in before }  // opens
    }

    @Test
    func everyDifferenceIsFound() throws {
        try verify { $0 }
        #expect(throws: FormatError.self) {
            try verify { changed($0, texts: [.init(text: "the", ids: [1])]) }
        }
        #expect(throws: FormatError.self) { try verify { changed($0, prompt: [1, 2, 3, 201]) } }
        for place in 0..<5 {
            for (distance, isFound) in [(Float(0.015), false), (0.025, true), (-0.025, true)] {
                let move: (ModelTests) -> ModelTests = { tests in
                    var expected = tests.expected
                    let value = expected[place].value + distance * tests.deviation
                    expected[place] = .init(id: expected[place].id, value: value)
                    return changed(tests, expected: expected)
                }
                if isFound {
                    #expect(throws: FormatError.self) { try verify(move) }
                } else {
                    try verify(move)
                }
            }
        }
    }

    @Test(arguments: [("{}", true), (#"{"a": [1]}"#, true), ("[1]", false), ("{", false), (#""a""#, false)])
    func provenanceIsAnObject(_ text: String, _ isSound: Bool) throws {
        let model = try TinyPhi.copy(of: TinyPhi().model(.q4), adding: [("provenance", Array(text.utf8))])
        if isSound {
            try model.verifyProvenance()
        } else {
            #expect(throws: FormatError.self) { try model.verifyProvenance() }
        }
    }

    @Test
    func impossibleSectionsAreRefused() throws {
        for deviation in [0, -1, .nan, .infinity] as [Float] {
            #expect(throws: FormatError.self) { try verify { changed($0, deviation: deviation) } }
        }
        #expect(throws: FormatError.self) { try verify { changed($0, prompt: [290]) } }
        #expect(throws: FormatError.self) { try verify { changed($0, prompt: [-1]) } }
        #expect(throws: FormatError.self) { try verify { changed($0, prompt: [TokenID](repeating: 0, count: 129)) } }
        #expect(throws: FormatError.self) { try verify { changed($0, prompt: []) } }
        #expect(throws: FormatError.self) { try verify { changed($0, expected: [.init(id: 290, value: 0)]) } }
        #expect(throws: FormatError.self) { try verify { changed($0, expected: [.init(id: 0, value: .nan)]) } }
        try verify { changed($0, prompt: [], deviation: 0, expected: []) }
    }

    @Test func thePromptIsBounded() throws {
        let model = try TinyPhi(context: 2048).model(.q8)
        for (count, isSound) in [(1024, true), (1025, false)] {
            let prompt = [TokenID](repeating: 1, count: count)
            let tests = ModelTests(texts: [], prompt: prompt, deviation: 1, expected: [])
            let copy = try TinyPhi.copy(of: model, adding: [(SectionName.tests, tests.section())])
            #expect(((try? copy.verifyTests()) != nil) == isSound)
        }
    }
}
