import CPhiKernels

/// The buffers that a batch of tokens passes through, made once for a session. What is beyond a row's own elements, up to
/// its stride, is and stays zero.
final class Activations {
    /// Tokens that go through together.
    static let batch = 256
    /// Positions whose logits are computed together, and sessions that go through together.
    static let logitsBatch = 64

    let hiddenStride: Int
    let innerStride: Int
    let outerStride: Int
    let logitsStride: Int

    let residual: Buffer<Float>  // [batch][hidden], the residual stream
    let normed: Buffer<Float>  // [batch][hidden]
    let inner: Buffer<Float>  // [batch][query, key, value, intermediate]
    let outer: Buffer<Float>  // [batch][query, intermediate]
    let quantised: Buffer<Int8>  // [batch][hidden or outer]
    let scales: Buffer<Float>  // [batch][blocks of 256 columns]
    let starts: Buffer<Int32>  // [batch][blocks of 256 columns]
    let groupStarts: Buffer<Int32>  // [groups of 16 columns], of a batch of one token
    let wantedRows: Buffer<Int32>  // [logits batch], rows whose logits are wanted
    let logits: Buffer<Float>  // [logits batch][vocabulary]
    let headProducts: Buffer<Float>  // [logits batch][2][vocabulary], of rounded inputs and of what rounding left
    let noBias: Buffer<Float>  // [vocabulary], zero

    init(_ config: ModelConfig) throws(SessionError) {
        hiddenStride = roundUp(config.hiddenSize, to: 64)
        innerStride = roundUp(config.inputProjectionRows, to: 64)
        outerStride = roundUp(config.outputProjectionColumns, to: 64)
        logitsStride = roundUp(config.vocabulary, to: 16)
        let widest = max(hiddenStride, outerStride)
        residual = try Buffer(Self.batch * hiddenStride, inHugePages: true)
        normed = try Buffer(Self.batch * hiddenStride, inHugePages: true)
        inner = try Buffer(Self.batch * innerStride, inHugePages: true)
        outer = try Buffer(Self.batch * outerStride, inHugePages: true)
        quantised = try Buffer(Self.batch * widest, inHugePages: true)
        let blocks = roundUp(widest, to: Int(PHI_BLOCK_COLUMNS)) / Int(PHI_BLOCK_COLUMNS)
        scales = try Buffer(Self.batch * blocks)
        starts = try Buffer(Self.batch * blocks)
        groupStarts = try Buffer(widest / Int(PHI_GROUP))
        wantedRows = try Buffer(Self.logitsBatch)
        logits = try Buffer(Self.logitsBatch * logitsStride)
        headProducts = try Buffer(2 * Self.logitsBatch * logitsStride)
        noBias = try Buffer(logitsStride)
    }
}
