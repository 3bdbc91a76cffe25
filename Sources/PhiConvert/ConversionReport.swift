import PhiFormat

/// The change of the weights by a conversion, by kind of matrix.
package struct ConversionReport: Sendable {
    /// A kind of matrix: one of all blocks together, the embedding or the head.
    package struct Kind: Sendable {
        /// Its name.
        package let label: String
        /// The encoding that it was written in.
        package let encoding: TensorEncoding
        /// The error of encoding; with calibration, of the corrected weights.
        package var error: EncodingError
    }

    /// The text of a calibration.
    package struct Calibration: Sendable, Encodable {
        /// Its file name, or `builtin`.
        package let text: String
        /// Its SHA-256.
        package let sha256: String
        /// The number of its tokens that were used.
        package let tokens: Int
    }

    /// The type that was asked for.
    package let type: WeightType
    /// In the file's order.
    package private(set) var kinds: [Kind] = []

    /// Nil without calibration.
    package internal(set) var calibration: Calibration?

    /// Bits of a weight of the blocks' matrices, scales included.
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
