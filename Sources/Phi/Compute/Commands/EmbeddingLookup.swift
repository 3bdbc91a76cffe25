import CPhiKernels
import PhiTokenizer

/// The lookup of each token's embedding, as f32, into its row of the residual stream. An item is a row.
struct EmbeddingLookup: BitwiseCopyable {
    let embedding: Matrix  // [vocabulary, hidden]
    let tokens: UnsafePointer<TokenID>  // [rows]
    let out: Rows  // [rows, hidden]

    static let operation: phi_operation = { arguments, begin, end in
        guard let lookup = arguments?.assumingMemoryBound(to: EmbeddingLookup.self).pointee else { return }
        for row in begin..<end {
            lookup.embedding.copyRow(Int(lookup.tokens[row]), to: lookup.out.from(row: row).start)
        }
    }
}
