import PhiFormat

/// What `phi convert --type` takes: how a file's weights are kept.
public enum WeightType: String, Sendable, CaseIterable {
    /// Blocks in 4 bits, embedding and head in 8.
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

    /// Of the embedding and the head. At 4 bits these two keep 8: a head's errors go straight into the logits, with no
    /// later layer to even them out, and an embedding's into every layer; both are a small part of what a token reads.
    public var embeddingAndHead: TensorEncoding { self == .q4 ? .q8 : blocks }
}
