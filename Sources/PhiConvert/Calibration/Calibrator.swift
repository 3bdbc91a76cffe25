import CPhiKernels
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// Calibrates a conversion: runs a text through the model twice, through the blocks as the file has them and through the
/// blocks as the checkpoint has them, and from the inputs of each matrix in both runs gives the error feedback with which it
/// is encoded.
final class Calibrator {
    /// Writes a matrix of a block to the file, and its tiles to the collector.
    typealias Write = (MatrixRows, ErrorFeedback, TileCollector) throws -> Void

    private let checkpoint: CheckpointModel
    private let text: CalibrationText
    /// The run through the encoded blocks, and that through the checkpoint's own in `exactEncoding`.
    private let encoded, exact: BlockRunner
    private let exactEncoding: TensorEncoding
    private let kernels: Kernels
    private let threads: Int32

    /// The calibration, for the file's provenance.
    var record: ConversionReport.Calibration {
        let hash = text.bytes.withUnsafeBytes { SHA256Digest($0) }
        return ConversionReport.Calibration(text: text.name, sha256: hash.description, tokens: encoded.tokenCount)
    }

    /// Throws ``FormatError`` when the text is too short, ``SessionError`` when there is not enough memory.
    init(
        _ checkpoint: CheckpointModel, _ text: CalibrationText, exact exactEncoding: TensorEncoding, _ kernels: Kernels,
        _ threads: Int32
    ) throws {
        self.checkpoint = checkpoint
        self.text = text
        self.exactEncoding = exactEncoding
        self.kernels = kernels
        self.threads = threads
        let sequences = try text.sequences(Tokenizer(checkpoint.vocabulary), context: checkpoint.config.context)
        func runner() throws -> BlockRunner {
            try BlockRunner(checkpoint.config, sequences, kernels: kernels, threads: Int(threads))
        }
        (encoded, exact) = (try runner(), try runner())
        try exact.embed(0..<TokenID(checkpoint.config.vocabulary)) { token, out throws(FormatError) in
            try checkpoint.readFinite(.weight(.embedding), Int(token)..<Int(token) + 1, into: out)
        }
    }

    /// Starts the run through the encoded blocks where the text has one of some rows of the embedding.
    func embed(_ rows: MatrixRows.Encoded, of embedding: PlannedMatrix) {
        let tokens = TokenID(rows.rows.lowerBound)..<TokenID(rows.rows.upperBound)
        encoded.embed(tokens) { token, out in
            phi_row(
                rows.tiles.baseAddress, embedding.encoding.rawValue, Int(token) - rows.rows.lowerBound,
                embedding.columns, out.baseAddress)
        }
    }

    /// Calibrates and writes a block, and takes both runs through it. `shouldContinue` throws to stop.
    ///
    /// Each matrix is read once and kept while it is converted; a kept matrix, its feedback and the exact block, the largest
    /// buffers, are consumed as soon as they have served.
    func convert(_ block: ConversionPlan.Block, shouldContinue: () throws -> Void, write: Write) throws {
        let norm = try norm(of: block.inputProjection)

        let inputRows = try MatrixRows(block.inputProjection, of: checkpoint, kept: true)
        let exactInput = try encodeExactly(inputRows, shouldContinue)
        let inputFeedback = try feedback(forNormed: block.inputProjection, shouldContinue: shouldContinue)
        let input = try self.write(consume inputRows, consume inputFeedback, write)

        let outputRows = try MatrixRows(block.outputProjection, of: checkpoint, kept: true)
        let exactBlock = EncodedBlock(
            norm: norm, inputProjection: consume exactInput,
            outputProjection: try encodeExactly(outputRows, shouldContinue))
        let outputFeedback = try feedback(for: block.outputProjection, shouldContinue) { batch, moments in
            let inputs = encoded.mixedInputs(of: batch, norm, input)
            exact.advance(batch, through: exactBlock) { moments.add(inputs, exact: $0) }
        }
        _ = consume exactBlock
        let output = try self.write(consume outputRows, consume outputFeedback, write)

        let encodedBlock = EncodedBlock(norm: norm, inputProjection: input, outputProjection: output)
        for batch in encoded.batches {
            try shouldContinue()
            encoded.advance(batch, through: encodedBlock)
        }
    }

    /// The error feedback of a matrix whose inputs are a layer norm's outputs: the input projection of the block that both
    /// runs have come to, or the head when they have passed all blocks.
    func feedback(forNormed matrix: PlannedMatrix, shouldContinue: () throws -> Void) throws -> ErrorFeedback {
        let norm = try norm(of: matrix)
        return try feedback(for: matrix, shouldContinue) { batch, moments in
            moments.add(encoded.normedInputs(of: batch, norm), exact: exact.normedInputs(of: batch, norm))
        }
    }

    private func encodeExactly(_ rows: MatrixRows, _ shouldContinue: () throws -> Void) throws -> EncodedMatrix {
        let tiles = try TileCollector(rows.matrix, in: exactEncoding)
        try rows.encode(as: exactEncoding, kernels: kernels, threads: threads) {
            try shouldContinue()
            tiles.append($0.tiles)
        }
        return try tiles.finished(bias: checkpoint.bias(of: rows.matrix))
    }

    private func write(
        _ rows: consuming MatrixRows, _ feedback: consuming ErrorFeedback, _ write: Write
    ) throws -> EncodedMatrix {
        let matrix = rows.matrix
        let tiles = try TileCollector(matrix, in: matrix.encoding)
        try write(rows, feedback, tiles)
        return try tiles.finished(bias: checkpoint.bias(of: matrix))
    }

    /// The error feedback of a matrix from its inputs, which `inputs` adds batch by batch.
    private func feedback(
        for matrix: PlannedMatrix, _ shouldContinue: () throws -> Void,
        inputs: (BlockRunner.Batch, InputMoments) -> Void
    ) throws -> ErrorFeedback {
        let moments = InputMoments(width: matrix.columns, withDrift: true, kernels: kernels, threads: threads)
        for batch in encoded.batches {
            try shouldContinue()
            inputs(batch, moments)
        }
        let damping = max(0.01, Float(min(moments.blockWidth, matrix.columns)) / Float(encoded.tokenCount))
        guard let feedback = ErrorFeedback(moments, damping: damping, kernels: kernels, threads: threads) else {
            throw FormatError(text.path, "leads to numbers in \(matrix.section) that are not finite")
        }
        return feedback
    }

    private func norm(of matrix: PlannedMatrix) throws -> EncodedNorm {
        guard let norm = matrix.norm else { preconditionFailure("\(matrix.section) has no layer norm") }
        return try EncodedNorm(
            weight: Buffer(checkpoint.readVector(.weight(norm.module))),
            bias: Buffer(checkpoint.readVector(.bias(norm.module))))
    }
}

extension InputMoments {
    fileprivate func add(_ inputs: BlockRunner.Inputs, exact: BlockRunner.Inputs) {
        add(inputs.rows.start, inputs.rows.stride, rows: inputs.count, exact: exact.rows.start)
    }
}
