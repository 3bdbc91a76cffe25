import PhiFormat
import PhiTokenizer

/// The tokens that begin and end a model's texts (`Formats/phi-file.md`, 2.4).
public struct TextBounds: Sendable, Equatable {
    /// The token that an empty prompt stands for.
    public let start: TokenID
    /// The tokens each of which ends a text, without repetition; the first is ``ModelConfig/endOfText``.
    public let ends: [TokenID]

    /// Largest number of ends.
    public static let maximumEnds = 256

    /// Creates the bounds of texts of a model of `vocabulary` tokens. Throws ``ModelConfigError`` when there is no end,
    /// there are too many, one stands twice, or an id is not a token.
    public init(start: TokenID, ends: [TokenID], vocabulary: Int) throws(ModelConfigError) {
        guard (1...Self.maximumEnds).contains(ends.count) else {
            throw ModelConfigError(fault: "has \(ends.count) ends of text, not 1 to \(Self.maximumEnds)")
        }
        for token in [start] + ends where token < 0 || Int(token) >= vocabulary {
            throw ModelConfigError(fault: "\(token) is not a token; ids are 0 to \(vocabulary - 1)")
        }
        guard Set(ends).count == ends.count else { throw ModelConfigError(fault: "has an end of text twice") }
        self.start = start
        self.ends = ends
    }

    /// The bounds in a file without a section `generation`: one token is both.
    init(_ config: ModelConfig) {
        start = TokenID(config.endOfText)
        ends = [start]
    }

    /// Reads a section `generation`.
    init(section: UnsafeRawBufferPointer, _ config: ModelConfig) throws(ModelConfigError) {
        func word(_ index: Int) -> UInt32 { section.littleEndian(at: 4 * index, as: UInt32.self) }
        guard section.count >= 8, section.count == 8 + 4 * Int(word(1)) else {
            throw ModelConfigError(fault: "section has \(section.count) bytes, which its count does not give")
        }
        let ends = (0..<Int(word(1))).map { TokenID(bitPattern: word(2 + $0)) }
        try self.init(start: TokenID(bitPattern: word(0)), ends: ends, vocabulary: config.vocabulary)
        guard Int(ends[0]) == config.endOfText else {
            throw ModelConfigError(fault: "the first end of text is \(ends[0]), by the config \(config.endOfText)")
        }
    }

    /// Returns the bytes of the section `generation`, or nil if the config says the same.
    package func section() -> [UInt8]? {
        guard ends != [start] else { return nil }
        let words = [UInt32(start), UInt32(ends.count)] + ends.map(UInt32.init)
        return words.flatMap { word in withUnsafeBytes(of: word.littleEndian, Array.init) }
    }
}
