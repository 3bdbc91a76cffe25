/// A module of a phi model, in PyTorch's sense; blocks count from 0.
package enum Module: Hashable, Sendable {
    /// Token embedding, [vocabulary, hidden]; has no bias.
    case embedding
    /// A block's layer norm.
    case norm(Int)
    /// Projection to queries, [heads x head size, hidden].
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
    /// Projection to logits, [vocabulary, hidden].
    case head
}

/// A module's weight or bias, independent of a checkpoint's names and files.
package enum Parameter: Hashable, Sendable {
    /// A matrix [rows, columns]; of a layer norm a vector.
    case weight(Module)
    /// A vector.
    case bias(Module)

    /// The module that it belongs to.
    package var module: Module {
        switch self {
        case .weight(let module), .bias(let module): module
        }
    }

    /// Whether it is a vector: a bias or part of a layer norm.
    var isVector: Bool {
        switch self {
        case .bias, .weight(.norm), .weight(.finalNorm): true
        case .weight: false
        }
    }

    /// All parameters of a model of `layers` blocks, in the order of the forward pass.
    package static func all(layers: Int) -> [Parameter] {
        let blocks = (0..<layers).flatMap { n -> [Module] in
            [.norm(n), .query(n), .key(n), .value(n), .dense(n), .fc1(n), .fc2(n)]
        }
        return [.weight(.embedding)] + (blocks + [.finalNorm, .head]).flatMap { [.weight($0), .bias($0)] }
    }
}
