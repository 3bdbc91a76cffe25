import PhiFormat

/// What a conversion did to the weights, by kind of matrix.
package struct ConversionReport: Sendable {
    /// One kind of matrix: all blocks' together, or the embedding's or the head's.
    package struct Kind: Sendable {
        /// What it is called.
        package let label: String
        /// How it was stored.
        package let encoding: TensorEncoding
        /// What rounding changed; with calibration, of the weights as it has corrected them.
        package var error: EncodingError
    }

    /// What rounding was calibrated on.
    package struct Calibration: Sendable, Encodable {
        /// The text's file name, or `builtin`.
        package let text: String
        /// SHA-256 of the text.
        package let sha256: String
        /// Tokens of it that were used.
        package let tokens: Int
    }

    /// What was asked for.
    package let type: WeightType
    /// In the file's order.
    package private(set) var kinds: [Kind] = []

    /// Nil without calibration.
    package internal(set) var calibration: Calibration?

    /// Bits that a weight of the blocks' matrices takes, scales included.
    package var bitsPerBlockWeight: Double { type.blocks.bitsPerWeight }

    init(type: WeightType) { self.type = type }

    mutating func add(_ error: EncodingError, to label: String, _ encoding: TensorEncoding) {
        if let i = kinds.firstIndex(where: { $0.label == label }) {
            kinds[i].error += error
        } else {
            kinds.append(Kind(label: label, encoding: encoding, error: error))
        }
    }
}
