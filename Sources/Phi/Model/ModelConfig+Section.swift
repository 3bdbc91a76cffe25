import PhiFormat

extension ModelConfig {
    /// Size of a `config` section.
    static let sectionBytes = 64

    /// Reads a `config` section (`Formats/phi-file.md`, 2.1); throws ``ModelConfigError`` when it is invalid.
    init(section: UnsafeRawBufferPointer) throws(ModelConfigError) {
        guard section.count == Self.sectionBytes else {
            throw ModelConfigError(fault: "section is \(section.count) bytes long, not \(Self.sectionBytes)")
        }
        func word(_ index: Int) -> UInt32 {
            section.littleEndian(at: 4 * index, as: UInt32.self)
        }
        guard (12..<16).allSatisfy({ word($0) == 0 }) else {
            throw ModelConfigError(fault: "has reserved bytes set")
        }
        try self.init(
            hiddenSize: Int(word(0)), intermediateSize: Int(word(1)), layers: Int(word(2)), heads: Int(word(3)),
            kvHeads: Int(word(4)), headSize: Int(word(5)), rotaryDimensions: Int(word(6)), context: Int(word(7)),
            vocabulary: Int(word(8)), endOfText: Int(word(9)), rotaryBase: Float(bitPattern: word(10)),
            layerNormEpsilon: Float(bitPattern: word(11)))
    }

    /// Returns the bytes of the `config` section.
    package func section() -> [UInt8] {
        let numbers = [
            hiddenSize, intermediateSize, layers, heads, kvHeads, headSize, rotaryDimensions, context, vocabulary,
            endOfText,
        ]
        let words = numbers.map(UInt32.init) + [rotaryBase.bitPattern, layerNormEpsilon.bitPattern, 0, 0, 0, 0]
        return words.flatMap { word in withUnsafeBytes(of: word.littleEndian, Array.init) }
    }
}
