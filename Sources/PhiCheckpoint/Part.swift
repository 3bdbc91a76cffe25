/// The modules that a phi model consists of; blocks count from 0.
public enum Layer: Hashable, Sendable {
    /// Token embedding: one row a token. Has no bias.
    case embedding
    /// The layer norm that opens a block.
    case norm(Int)
    /// Projection to queries, heads x head size rows.
    case query(Int)
    /// Projection to keys.
    case key(Int)
    /// Projection to values.
    case value(Int)
    /// Attention's output projection.
    case dense(Int)
    /// The MLP's first projection.
    case fc1(Int)
    /// The MLP's second projection.
    case fc2(Int)
    /// The layer norm before the head.
    case finalNorm
    /// Projection to logits: one row a token.
    case head
}

/// One tensor of a phi model, whatever a checkpoint calls it and wherever it keeps it.
public enum Part: Hashable, Sendable {
    /// A matrix [rows, columns]; of a norm a vector.
    case weight(Layer)
    /// A vector.
    case bias(Layer)

    /// The module that it belongs to.
    var layer: Layer {
        switch self {
        case .weight(let layer), .bias(let layer): layer
        }
    }

    /// How checkpoints end its name.
    var suffix: String {
        switch self {
        case .weight: ".weight"
        case .bias: ".bias"
        }
    }
}
