import PhiFormat

/// The shape of a phi model: what `config.json` of a Hugging Face checkpoint says, reduced to what the forward pass
/// needs.
///
/// A config is only ever made by ``init(hiddenSize:intermediateSize:layers:heads:kvHeads:headSize:rotaryDimensions:context:vocabulary:endOfText:rotaryBase:layerNormEpsilon:)``
/// or read from a `.phi` file's `config` section; both check every bound, so code that holds one need not.
public struct ModelConfig: Sendable, Equatable {
    /// Width of the residual stream.
    public let hiddenSize: Int
    /// Width of the MLP's inner layer.
    public let intermediateSize: Int
    /// Number of blocks.
    public let layers: Int
    /// Number of query heads.
    public let heads: Int
    /// Number of key and value heads; divides ``heads``, and equals it unless attention is grouped-query.
    public let kvHeads: Int
    /// Dimensions of one head.
    public let headSize: Int
    /// Leading dimensions of each head that are rotated; even.
    public let rotaryDimensions: Int
    /// Positions the model was trained for, and the most a session can hold.
    public let context: Int
    /// Number of real tokens; rows that a checkpoint pads its embedding with are not counted.
    public let vocabulary: Int
    /// The id that ends a text, `<|endoftext|>`.
    public let endOfText: Int
    /// Base of the rotary embedding's wavelengths (Su et al. 2021, arXiv 2104.09864).
    public let rotaryBase: Float
    /// Added to the variance in every layer norm.
    public let layerNormEpsilon: Float

    /// Makes a config, or throws ``ModelConfigError`` with the first bound of `Formats/phi-file.md` 2.1 that is broken.
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
        try check(rotaryBase.isFinite && rotaryBase > 0, "rotary base is \(rotaryBase)")
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

    /// Width of all query heads together.
    public var querySize: Int { heads * headSize }
    /// Width of all key heads together, and of all value heads.
    public var keySize: Int { kvHeads * headSize }
    /// Rows of a block's first matrix: queries, keys, values and the MLP's inner layer stacked.
    public var inputProjectionRows: Int { querySize + 2 * keySize + intermediateSize }
    /// Columns of a block's second matrix: attention's output and the MLP's inner layer side by side.
    public var outputProjectionColumns: Int { querySize + intermediateSize }
    /// Parameters of the model, biases and norms counted, and those of padding rows not.
    public var parameters: Int {
        // The two matrices, the four biases of the first, the two of the second, the norm.
        let block = (hiddenSize + 1) * inputProjectionRows + (outputProjectionColumns + 2) * hiddenSize + 2 * hiddenSize
        return layers * block + 2 * hiddenSize + vocabulary * (2 * hiddenSize + 1)
    }
}

/// A shape that no phi model can have.
public struct ModelConfigError: Error, Equatable, CustomStringConvertible {
    /// What is wrong with it, in one line.
    public let fault: String

    /// The fault.
    public var description: String { fault }
}
