import PhiFormat

/// The shape of a phi model: the parameters of a Hugging Face checkpoint's `config.json` that the forward pass needs.
///
/// Every initialiser checks all bounds, so that a config is always valid.
public struct ModelConfig: Sendable, Equatable {
    /// Width of the residual stream.
    public let hiddenSize: Int
    /// Width of the MLP's inner layer.
    public let intermediateSize: Int
    /// Number of transformer blocks.
    public let layers: Int
    /// Number of query heads.
    public let heads: Int
    /// Number of key and value heads; divides ``heads``, and equals it unless attention is grouped-query.
    public let kvHeads: Int
    /// Dimensions of one head.
    public let headSize: Int
    /// Leading dimensions of each head that are rotated; even.
    public let rotaryDimensions: Int
    /// Number of positions that the model was trained for, and the largest context of a session.
    public let context: Int
    /// Number of tokens, without the rows that pad a checkpoint's embedding.
    public let vocabulary: Int
    /// The id of the token that ends a text; the first if there are several, see ``TextBounds``.
    public let endOfText: Int
    /// Base of the rotary embedding's wavelengths (Su et al. 2021, arXiv 2104.09864).
    public let rotaryBase: Float
    /// Added to the variance in every layer norm.
    public let layerNormEpsilon: Float

    /// Creates a config; throws ``ModelConfigError`` for the first violated bound of `Formats/phi-file.md` 2.1.
    public init(
        hiddenSize: Int, intermediateSize: Int, layers: Int, heads: Int, kvHeads: Int, headSize: Int,
        rotaryDimensions: Int, context: Int, vocabulary: Int, endOfText: Int, rotaryBase: Float,
        layerNormEpsilon: Float
    ) throws(ModelConfigError) {
        func check(_ holds: Bool, _ fault: @autoclosure () -> String) throws(ModelConfigError) {
            if !holds { throw ModelConfigError(fault: fault()) }
        }
        func check(_ value: Int, in range: ClosedRange<Int>, _ name: String) throws(ModelConfigError) {
            try check(
                range.contains(value), "\(name) is \(value), not \(range.lowerBound) to \(range.upperBound)")
        }
        try check(hiddenSize, in: 1...65_536, "hidden size")
        try check(intermediateSize, in: 1...262_144, "intermediate size")
        try check(layers, in: 1...1024, "number of layers")
        try check(heads, in: 1...1024, "number of heads")
        try check(kvHeads, in: 1...1024, "number of key-value heads")
        try check(heads % kvHeads == 0, "\(heads) heads cannot share \(kvHeads) key-value heads")
        try check(headSize, in: 1...1024, "head size")
        try check(heads * headSize <= 65_536, "\(heads) heads of size \(headSize) are wider than 65536")
        try check(rotaryDimensions, in: 0...headSize, "number of rotary dimensions")
        try check(rotaryDimensions % 2 == 0, "number of rotary dimensions is odd: \(rotaryDimensions)")
        try check(context, in: 1...1_048_576, "context")
        try check(vocabulary, in: 1...1_048_576, "vocabulary")
        try check(endOfText, in: 0...vocabulary - 1, "end-of-text id")
        try check(rotaryBase.isFinite && rotaryBase >= 1, "rotary base is \(rotaryBase), not a number from 1")
        try check(layerNormEpsilon.isFinite && layerNormEpsilon > 0, "layer norm epsilon is \(layerNormEpsilon)")
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layers = layers
        self.heads = heads
        self.kvHeads = kvHeads
        self.headSize = headSize
        self.rotaryDimensions = rotaryDimensions
        self.context = context
        self.vocabulary = vocabulary
        self.endOfText = endOfText
        self.rotaryBase = rotaryBase
        self.layerNormEpsilon = layerNormEpsilon
    }

    /// Width of all query heads.
    public var querySize: Int { heads * headSize }
    /// Width of all key heads, and of all value heads.
    public var keySize: Int { kvHeads * headSize }
    /// Rows of a block's input projection, [q; k; v; fc1].
    public var inputProjectionRows: Int { querySize + 2 * keySize + intermediateSize }
    /// Columns of a block's output projection, [dense | fc2].
    public var outputProjectionColumns: Int { querySize + intermediateSize }
    /// Number of parameters, including biases and norms but not the rows that pad a checkpoint's embedding.
    public var parameters: Int {
        // Input projection with a bias, output projection with two (dense and fc2), layer norm.
        let block = (hiddenSize + 1) * inputProjectionRows + (outputProjectionColumns + 2) * hiddenSize + 2 * hiddenSize
        return layers * block + 2 * hiddenSize + vocabulary * (2 * hiddenSize + 1)
    }
}

/// An error of an invalid config.
public struct ModelConfigError: Error, Equatable, CustomStringConvertible {
    /// The violated bound, in one line.
    public let fault: String

    /// The fault.
    public var description: String { fault }
}
