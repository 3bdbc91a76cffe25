import PhiFormat

/// What `phi convert --type` takes: how a file's weights are kept.
public enum WeightType: String, Sendable, CaseIterable {
    /// Blocks and embedding in 4 bits, head in 8.
    case q4
    /// Everything in 8 bits.
    case q8
    /// Everything in 16-bit floats.
    case f16
    /// Everything in 32-bit floats: exact, for comparison.
    case f32

    /// Of the blocks' matrices, where nearly all weights are.
    public var blocks: TensorEncoding {
        switch self {
        case .q4: .q4
        case .q8: .q8
        case .f16: .f16
        case .f32: .f32
        }
    }

    /// What stands for the checkpoint's own blocks where a conversion compares the file's with them: 8 bits are exact enough beside 4
    /// and several times as fast as floats.
    var reference: TensorEncoding { self == .q4 ? .q8 : .f32 }

    /// Whether weights are rounded to integers, where errors can be made good by other weights.
    public var isRounded: Bool { self == .q4 || self == .q8 }

    /// Of the embedding. At 4 bits too: rounding it with error feedback keeps what the first block sees of it.
    public var embedding: TensorEncoding { blocks }

    /// Of the head. At 4 bits it keeps 8: its errors go straight into the logits, with no later layer to even them out, and
    /// it is a small part of what a token reads.
    public var head: TensorEncoding { self == .q4 ? .q8 : blocks }
}
