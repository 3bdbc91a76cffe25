import CPhiKernels
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// Calibrates a conversion: runs a text through the model twice, through the blocks as the file has them and through the
/// blocks as the checkpoint has them, and from the inputs of each matrix in both runs gives the error feedback with which it
/// is encoded. Without a text random tokens run through the encoded blocks only, and error feedback has narrow blocks: most of the
/// gain for a small part of the time.
final class Calibrator {
    /// Encodes a matrix with its error feedback, writes it to the file and appends its tiles to the collector.
    typealias Write = (MatrixRows, ErrorFeedback, TileCollector) throws -> Void

    private let checkpoint: CheckpointModel
    private let text: CalibrationText?
    /// The run through the encoded blocks.
    private let encoded: BlockRunner
    /// The exact run: through the checkpoint's blocks, changed likewise, in `exactEncoding`, q8 or f32; nil without a text.
    private let exact: BlockRunner?
    private let exactEncoding: TensorEncoding
    private let kernels: Kernels
    private let threads: Int32

    /// The calibration by a text, for the file's provenance.
    var record: ConversionReport.Calibration? {
        guard let text else { return nil }
        let hash = text.bytes.withUnsafeBytes { SHA256Digest($0) }
        return ConversionReport.Calibration(text: text.name, sha256: hash.description, tokens: encoded.tokenCount)
    }

    /// Calibrates by the tokens of `text`, or random ones if it is nil, in `sequences`. Throws ``SessionError`` when there is not enough memory.
    init(
        _ checkpoint: CheckpointModel, _ config: ModelConfig, _ text: CalibrationText?, _ sequences: [[TokenID]],
        exactEncoding: TensorEncoding, _ kernels: Kernels, _ threads: Int32
    ) throws {
        self.checkpoint = checkpoint
        self.text = text
        self.exactEncoding = exactEncoding
        self.kernels = kernels
        self.threads = threads
        func runner() throws -> BlockRunner {
            try BlockRunner(config, sequences, kernels: kernels, threads: Int(threads))
        }
        encoded = try runner()
        exact = text == nil ? nil : try runner()
        try exact?.embed(checkpoint)
    }

    /// Puts the embeddings of the text's tokens among `rows` into the run through the encoded blocks.
    func embed(_ rows: MatrixRows.Encoded, of embedding: PlannedMatrix) {
        let tokens = TokenID(rows.rows.lowerBound)..<TokenID(rows.rows.upperBound)
        encoded.embed(tokens) { token, out in
            phi_row(
                rows.tiles.baseAddress, embedding.encoding.rawValue, Int(token) - rows.rows.lowerBound,
                embedding.columns, out.baseAddress)
        }
    }

    /// Calibrates and writes a block with its change, and takes both runs through it. `checkCancellation` throws to stop.
    ///
    /// The largest buffers (feedback, the exact block) are consumed at their last use.
    func convert(
        _ block: ConversionPlan.Block, _ change: Reparameterisation, checkCancellation: () throws -> Void, write: Write
    ) throws {
        let norm = try EncodedNorm(change)
        let exactInput = try exact == nil ? nil : encodeExactly(block.inputProjection, change, checkCancellation)
        let inputFeedback = try feedback(
            forNormed: block.inputProjection, change, checkCancellation: checkCancellation)
        let input = try encodeAndWrite(block.inputProjection, change, consume inputFeedback, write)

        let exactBlock = try (consume exactInput).map {
            EncodedBlock(
                norm: norm, inputProjection: $0,
                outputProjection: try encodeExactly(block.outputProjection, change, checkCancellation))
        }
        let kept = try KeptInputs(
            columns: block.outputProjection.columns, tokens: encoded.tokenCount, batches: encoded.batches.count)
        let outputMoments = try moments(for: block.outputProjection, checkCancellation) { batch, moments in
            // Stays valid: the encoded run advances below only, and the exact run has buffers of its own.
            let inputs = encoded.mixedInputs(of: batch, norm, input, for: block.outputProjection.encoding, kept)
            guard let exact, let exactBlock else { return moments.add(inputs, exact: nil) }
            exact.advance(batch, through: exactBlock) { moments.add(inputs, exact: $0) }
        }
        _ = consume exactBlock
        let outputFeedback = try feedback(for: block.outputProjection, consume outputMoments)
        let output = try encodeAndWrite(block.outputProjection, change, consume outputFeedback, write)

        let encodedBlock = EncodedBlock(norm: norm, inputProjection: input, outputProjection: output)
        for batch in encoded.batches {
            try checkCancellation()
            encoded.advance(batch, from: kept, through: encodedBlock)
        }
    }

    /// The error feedback of a matrix whose inputs are a layer norm's outputs: the input projection of the block that both
    /// runs have come to, or the head when they have passed all blocks.
    func feedback(
        forNormed matrix: PlannedMatrix, _ change: Reparameterisation, checkCancellation: () throws -> Void
    ) throws -> ErrorFeedback {
        let norm = try EncodedNorm(change)
        let moments = try moments(for: matrix, checkCancellation) { batch, moments in
            let exactInputs = exact?.normedInputs(of: batch, norm)
            moments.add(encoded.normedInputs(of: batch, norm), exact: exactInputs)
        }
        return try feedback(for: matrix, consume moments)
    }

    private func encodeExactly(
        _ matrix: PlannedMatrix, _ change: Reparameterisation, _ checkCancellation: () throws -> Void
    ) throws -> EncodedMatrix {
        try EncodedMatrix(
            MatrixRows(matrix, of: checkpoint, change), as: exactEncoding, kernels: kernels, threads: threads,
            checkCancellation)
    }

    private func encodeAndWrite(
        _ matrix: PlannedMatrix, _ change: Reparameterisation, _ feedback: consuming ErrorFeedback, _ write: Write
    ) throws -> EncodedMatrix {
        let tiles = try TileCollector(matrix, in: matrix.encoding)
        let rows = MatrixRows(matrix, of: checkpoint, change)
        try write(rows, feedback, tiles)
        return try tiles.finished(bias: rows.bias())
    }

    /// The sums of a matrix's inputs, which `inputs` adds batch by batch.
    private func moments(
        for matrix: PlannedMatrix, _ checkCancellation: () throws -> Void,
        inputs: (BlockRunner.Batch, InputMoments) -> Void
    ) throws -> InputMoments {
        let widest = matrix.norm == nil ? InputMoments.widestOutputBlock : InputMoments.widestBlock
        let moments = InputMoments(
            width: matrix.columns, widestBlock: text == nil ? TensorEncoding.blockColumns : widest,
            withDrift: exact != nil, kernels: kernels, threads: threads)
        for batch in encoded.batches {
            try checkCancellation()
            inputs(batch, moments)
        }
        moments.finish()
        return moments
    }

    private func feedback(
        for matrix: PlannedMatrix, _ moments: consuming InputMoments
    ) throws -> ErrorFeedback {
        let damping = max(0.01, Float(min(moments.blockWidth, matrix.columns)) / Float(encoded.tokenCount))
        guard let feedback = ErrorFeedback(moments, damping: damping, kernels: kernels, threads: threads) else {
            throw FormatError(
                text?.path ?? "random tokens", "leads to numbers in \(matrix.section) that are not finite")
        }
        return feedback
    }
}

extension InputMoments {
    fileprivate func add(_ inputs: BlockRunner.Inputs, exact: BlockRunner.Inputs?) {
        add(inputs.rows.start, inputs.rows.stride, rows: inputs.count, exact: exact?.rows.start)
    }
}
