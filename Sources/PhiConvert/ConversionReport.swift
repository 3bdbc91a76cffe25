import PhiFormat

/// The change of the weights by a conversion, by kind of matrix.
package struct ConversionReport: Sendable {
    /// A kind of matrix: one of all blocks together, the embedding or the head.
    package struct Kind: Sendable {
        package let label: String
        package let encoding: TensorEncoding
        /// The error of encoding; with calibration, of the corrected weights.
        package var error: EncodingError
        /// The largest column of the matrix's inputs beside others, where it is known.
        package var activations: ActivationRatio?
    }

    /// The text of a calibration.
    package struct Calibration: Sendable, Encodable {
        /// Its file name, or `builtin`.
        package let text: String
        package let sha256: String
        /// The number of its tokens that were used.
        package let tokens: Int
    }

    package let type: WeightType
    /// Zero channels that the MLP has got, so that outliers have a block of their own.
    package let addedChannels: Int
    /// In the file's order.
    package private(set) var kinds: [Kind] = []

    /// Nil without calibration.
    package internal(set) var calibration: Calibration?

    mutating func add(
        _ error: EncodingError, to label: String, _ encoding: TensorEncoding, _ activations: ActivationRatio?
    ) {
        if let i = kinds.firstIndex(where: { $0.label == label }) {
            kinds[i].error += error
            if let activations { kinds[i].activations?.join(activations) }
        } else {
            kinds.append(Kind(label: label, encoding: encoding, error: error, activations: activations))
        }
    }
}
