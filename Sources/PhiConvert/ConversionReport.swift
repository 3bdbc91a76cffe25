import PhiCheckpoint
import PhiFormat

/// What a conversion did to the weights, by kind of matrix.
public struct ConversionReport: Sendable {
    /// One kind of matrix: all blocks' together, or the embedding's or the head's.
    public struct Kind: Sendable {
        /// What it is called.
        public let label: String
        /// How it was stored.
        public let encoding: TensorEncoding
        /// What rounding changed; with calibration, of the weights as it has corrected them.
        public var error: EncodingError
    }

    /// What rounding was calibrated on.
    public struct Calibration: Sendable, Encodable {
        /// The text's file name, or `builtin`.
        public let text: String
        /// SHA-256 of the text.
        public let sha256: String
        /// Tokens of it that were used.
        public let tokens: Int
    }

    /// What was asked for.
    public let type: WeightType
    /// In the file's order.
    public private(set) var kinds: [Kind] = []

    /// Nil without calibration.
    public internal(set) var calibration: Calibration?

    /// Bits that a weight of the blocks' matrices takes, scales included.
    public var bitsPerBlockWeight: Double { type.blocks.bitsPerWeight }

    init(type: WeightType) { self.type = type }

    mutating func add(_ error: EncodingError, to label: String, _ encoding: TensorEncoding) {
        if let i = kinds.firstIndex(where: { $0.label == label }) {
            kinds[i].error += error
        } else {
            kinds.append(Kind(label: label, encoding: encoding, error: error))
        }
    }
}
