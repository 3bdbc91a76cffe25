import PhiFormat
import PhiTokenizer

/// The section `tests` of a `.phi` file (`Formats/phi-file.md`, 2.3): expected results of its tokenizer and engine.
package struct ModelTests: Sendable, Equatable {
    /// A text and its token ids.
    package struct Text: Sendable, Equatable {
        package let text: String
        package let ids: [TokenID]

        package init(text: String, ids: [TokenID]) {
            self.text = text
            self.ids = ids
        }
    }

    /// A token and its logit after the prompt.
    package struct Logit: Sendable, Equatable {
        package let id: TokenID
        package let value: Float

        package init(id: TokenID, value: Float) {
            self.id = id
            self.value = value
        }
    }

    /// Largest difference of a logit, in standard deviations.
    static let tolerance: Float = 0.02
    static let maximumTexts = 1024, maximumPrompt = 1024

    package let texts: [Text]
    package let prompt: [TokenID]
    /// Standard deviation of the logits after the prompt.
    package let deviation: Float
    package let expected: [Logit]

    package init(texts: [Text], prompt: [TokenID], deviation: Float, expected: [Logit]) {
        self.texts = texts
        self.prompt = prompt
        self.deviation = deviation
        self.expected = expected
    }

    /// Returns the bytes of the section; their number does not depend on the values of the deviation and the logits.
    package func section() -> [UInt8] {
        var bytes: [UInt8] = []
        func add(_ word: UInt32) { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
        func add(_ ids: [TokenID]) { for id in ids { add(UInt32(bitPattern: id)) } }
        add(UInt32(texts.count))
        for text in texts {
            add(UInt32(text.text.utf8.count))
            add(UInt32(text.ids.count))
            bytes.append(contentsOf: text.text.utf8)
            add(text.ids)
        }
        add(UInt32(prompt.count))
        add(prompt)
        add(deviation.bitPattern)
        add(UInt32(expected.count))
        for logit in expected {
            add(UInt32(bitPattern: logit.id))
            add(logit.value.bitPattern)
        }
        return bytes
    }

    /// Reads the section of `file`; throws `FormatError` when it violates a rule of 2.3 for a model of this shape.
    init(section: UnsafeRawBufferPointer, of file: String, _ config: ModelConfig) throws(FormatError) {
        var reader = TestsReader(section, file, config)
        let textCount = try reader.word()
        guard textCount <= Self.maximumTexts else {
            throw reader.fault("has \(textCount) texts, more than \(Self.maximumTexts)")
        }
        var texts: [Text] = []
        for _ in 0..<textCount {
            let (byteCount, idCount) = (try reader.word(), try reader.word())
            texts.append(Text(text: try reader.text(byteCount), ids: try reader.ids(idCount)))
        }
        let promptCount = try reader.word()
        let longest = min(config.context, Self.maximumPrompt)
        guard promptCount <= longest else {
            throw reader.fault("has a prompt of \(promptCount) ids, more than \(longest)")
        }
        prompt = try reader.ids(promptCount)
        deviation = try reader.float()
        let logitCount = try reader.word()
        var expected: [Logit] = []
        for _ in 0..<logitCount { expected.append(Logit(id: try reader.id(), value: try reader.float())) }
        try reader.end()
        if promptCount == 0 {
            guard deviation == 0, logitCount == 0 else { throw reader.fault("expects logits without a prompt") }
        } else {
            guard deviation.isFinite, deviation > 0 else {
                throw reader.fault("has a standard deviation of \(deviation)")
            }
            let isFinite = expected.allSatisfy(\.value.isFinite)
            guard isFinite else { throw reader.fault("expects a logit that is not finite") }
        }
        self.texts = texts
        self.expected = expected
    }
}

/// A cursor over an untrusted section `tests`.
private struct TestsReader {
    private var cursor: ByteCursor
    private let file: String
    private let vocabulary: Int

    init(_ section: UnsafeRawBufferPointer, _ file: String, _ config: ModelConfig) {
        self.file = file
        vocabulary = config.vocabulary
        cursor = ByteCursor(Array(section), end: FormatError(file, "tests: ends early"))
    }

    func fault(_ fault: String) -> FormatError { FormatError(file, "tests: \(fault)") }

    mutating func word() throws(FormatError) -> Int { Int(try cursor.integer(UInt32.self)) }

    mutating func float() throws(FormatError) -> Float { Float(bitPattern: try cursor.integer(UInt32.self)) }

    mutating func id() throws(FormatError) -> TokenID {
        let id = try word()
        guard id < vocabulary else { throw fault("\(id) is not a token; ids are 0 to \(vocabulary - 1)") }
        return TokenID(id)
    }

    mutating func ids(_ count: Int) throws(FormatError) -> [TokenID] {
        var ids: [TokenID] = []
        for _ in 0..<count { ids.append(try id()) }
        return ids
    }

    mutating func text(_ byteCount: Int) throws(FormatError) -> String {
        guard let text = String(strictUTF8: try cursor.take(byteCount)) else { throw fault("a text is not UTF-8") }
        return text
    }

    func end() throws(FormatError) {
        guard cursor.isAtEnd else { throw fault("has bytes left over") }
    }
}
