import PhiFormat

/// What `phi convert --type` offers: the encoding of the blocks' matrices, where nearly all weights are, by its name. Those of
/// embedding and head follow from it.
package enum WeightType: String, Sendable, CaseIterable {
    /// Blocks in 3 bits, embedding in 4, head in 8.
    case q3
    /// Blocks and embedding in 4 bits, head in 8.
    case q4
    /// Everything in 8 bits.
    case q8
    /// Everything in 16-bit floats.
    case f16
    /// Everything in 32-bit floats: exact, for comparison.
    case f32

    /// The encoding of the blocks' matrices.
    package var blocks: TensorEncoding { TensorEncoding.allCases.first { $0.name == rawValue } ?? .f32 }

    /// The encoding of the embedding. In few bits too: rounding it with error feedback keeps what the first block sees of it. A
    /// token reads one row of it, so that fewer than 4 bits would not pay.
    package var embedding: TensorEncoding { self == .q3 ? .q4 : blocks }

    /// The encoding of the head: 8 bits where blocks have fewer, as its errors go straight into the logits, with no later layer to
    /// even them out, and it is a small part of what a token reads.
    package var head: TensorEncoding { isCoarse ? .q8 : blocks }

    /// The encoding of the checkpoint's blocks in calibration's exact run: 8 bits are exact enough beside fewer, and several times as
    /// fast as floats.
    var exactEncoding: TensorEncoding { isCoarse ? .q8 : .f32 }

    /// Whether weights are rounded to integers, so that the errors of some can be compensated by others.
    package var isRounded: Bool { blocks.isQuantised }

    /// Whether weights have so few bits that scales are searched for.
    var isCoarse: Bool { blocks.bitsPerWeight < 8 }
}
