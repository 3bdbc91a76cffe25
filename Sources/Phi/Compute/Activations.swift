import CPhiKernels

/// The activations of a batch of tokens, allocated once for an engine. Rows are zero between their columns and stride.
package final class Activations {
    /// Largest number of tokens in a batch.
    package static let batchTokens = 256
    /// Largest number of rows whose logits are computed together, and of sequences in a batch.
    static let logitsRows = 64

    private let config: ModelConfig
    let logitsStride: Int

    private let residualBuffer: Buffer<Float>  // [batch][hidden]
    private let normedBuffer: Buffer<Float>  // [batch][hidden]
    private let projectedBuffer: Buffer<Float>  // [batch][query | key | value | intermediate]
    private let mixedBuffer: Buffer<Float>  // [batch][query | intermediate]
    let tokens: Buffer<Int32>  // [batch], ids
    package let quantised: Buffer<Int8>  // [batch][hidden or query + intermediate]
    package let scales: Buffer<Float>  // [batch][blocks of 256 columns]
    package let zeroCorrections: Buffer<Int32>  // [batch][blocks of 256 columns]
    package let groupZeroCorrections: Buffer<UInt32>  // [groups of 16 columns][tokens up to 8]
    let logitsRowNumbers: Buffer<Int32>  // [logits rows], rows of the batch whose logits are computed
    let logits: Buffer<Float>  // [logits rows][vocabulary]
    let headProducts: Buffer<Float>  // [logits rows][2][vocabulary], of quantised inputs and of their residuals
    let zeroBias: Buffer<Float>  // [vocabulary]

    package init(_ config: ModelConfig) throws(SessionError) {
        self.config = config
        let hiddenStride = roundUp(config.hiddenSize, to: 64)
        let mixedStride = roundUp(config.outputProjectionColumns, to: 64)
        logitsStride = roundUp(config.vocabulary, to: 16)
        let widest = max(hiddenStride, mixedStride)
        residualBuffer = try Buffer(Self.batchTokens * hiddenStride, pages: .huge)
        normedBuffer = try Buffer(Self.batchTokens * hiddenStride, pages: .huge)
        projectedBuffer = try Buffer(
            Self.batchTokens * roundUp(config.inputProjectionRows, to: 64), pages: .huge)
        mixedBuffer = try Buffer(Self.batchTokens * mixedStride, pages: .huge)
        tokens = try Buffer(Self.batchTokens)
        quantised = try Buffer(Self.batchTokens * widest, pages: .huge)
        let blocks = roundUp(widest, to: Int(PHI_BLOCK_COLUMNS)) / Int(PHI_BLOCK_COLUMNS)
        scales = try Buffer(Self.batchTokens * blocks)
        zeroCorrections = try Buffer(Self.batchTokens * blocks)
        groupZeroCorrections = try Buffer(Int(PHI_GEMV_TOKENS) * widest / Int(PHI_GROUP))
        logitsRowNumbers = try Buffer(Self.logitsRows)
        logits = try Buffer(Self.logitsRows * logitsStride)
        headProducts = try Buffer(2 * Self.logitsRows * logitsStride)
        zeroBias = try Buffer(logitsStride)
    }

    /// The residual stream, [batch, hidden].
    package var residual: Rows { rows(residualBuffer) }
    /// Layer norms of the residual stream, [batch, hidden].
    package var normed: Rows { rows(normedBuffer) }
    /// Outputs of the input projection, [batch, query + 2 key + intermediate], and its columns.
    var projected: Rows { rows(projectedBuffer) }
    var queries: Rows { projected }
    var keys: Rows { projected.from(column: config.querySize) }
    var values: Rows { keys.from(column: config.keySize) }
    var intermediate: Rows { values.from(column: config.keySize) }
    /// Inputs of the output projection, [batch, query + intermediate], and its columns.
    package var mixed: Rows { rows(mixedBuffer) }
    var attended: Rows { mixed }
    var activated: Rows { mixed.from(column: config.querySize) }

    private func rows(_ buffer: Buffer<Float>) -> Rows {
        Rows(start: buffer.start, stride: buffer.count / Self.batchTokens)
    }

    /// Returns row `row` of the logits, [vocabulary].
    func logits(inRow row: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(start: logits.start + row * logitsStride, count: config.vocabulary)
    }
}
