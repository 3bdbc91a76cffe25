import PhiCheckpoint
import CPhiKernels
import Phi
import PhiFormat
import PhiTokenizer

/// Follows a conversion with a calibration text: before each matrix of a block and the head are encoded it says how their rounding errors,
/// and what earlier ones have done to their inputs, are best made good. For that it runs the text through the blocks as they have been
/// encoded so far, and beside that through the blocks as they are in the checkpoint.
final class Calibrator {
    private let checkpoint: CheckpointModel
    private let runner: BlockRunner
    private let exact: BlockRunner
    private let exactEncoding: TensorEncoding
    private let kernels: Kernels
    private let threads: Int32
    private let text: CalibrationText
    private let embedding: TensorEncoding
    /// Rows of the embedding that have been written.
    private var embeddedRows: TokenID = 0

    /// What it was, for the file's provenance.
    var record: ConversionReport.Calibration {
        ConversionReport.Calibration(text: text.name, sha256: text.hash.description, tokens: runner.tokenCount)
    }

    /// Throws ``FormatError`` when the text is too short, ``SessionError`` when there is not enough memory.
    init(
        _ checkpoint: CheckpointModel, _ text: CalibrationText, _ type: WeightType, _ kernels: Kernels, _ threads: Int32
    ) throws {
        self.checkpoint = checkpoint
        self.kernels = kernels
        self.threads = threads
        self.text = text
        embedding = type.embedding
        exactEncoding = type.reference
        let texts = try text.texts(Tokenizer(checkpoint.vocabulary), context: checkpoint.config.context)
        func runner(_ encoding: TensorEncoding) throws -> BlockRunner {
            try BlockRunner(
                checkpoint.config, texts, encoding: encoding, cache: .f16, kernels: kernels, threads: Int(threads))
        }
        self.runner = try runner(type.blocks)
        exact = try runner(exactEncoding)
        try embedExactly()
    }

    /// How the errors of a matrix are fed back; nil for the embedding. Asked before the matrix is written; `shouldContinue` throws to stop.
    func feedback(for matrix: MatrixSource, shouldContinue: () throws -> Void) throws -> ErrorFeedback? {
        guard let half = matrix.kind.inputs else { return nil }
        if let layer = matrix.kind.norm {
            let weight = try checkpoint.readVector(.weight(layer)), bias = try checkpoint.readVector(.bias(layer))
            runner.setNorm(weight: weight, bias: bias)
            exact.setNorm(weight: weight, bias: bias)
        }
        if matrix.kind.isOfBlock {
            try matrix.encode(exactEncoding, of: checkpoint, kernels, threads) { tiles, _, _ in
                try shouldContinue()
                exact.append(tiles, to: half)
            }
            exact.setBias(try matrix.bias(of: checkpoint), of: half)
        }
        let moments = InputMoments(width: matrix.columns, withDrift: true, kernels: kernels, threads: threads)
        for batch in runner.batches {
            try shouldContinue()
            let inputs = runner.inputs(of: half, batch), exactInputs = exact.inputs(of: half, batch)
            moments.add(inputs.start, inputs.stride, rows: inputs.count, exact: exactInputs.start)
            if half == .outer { exact.finish(batch) }
        }
        moments.flush()
        let damping = max(0.01, Float(min(moments.blockWidth, matrix.columns)) / Float(runner.tokenCount))
        guard let feedback = ErrorFeedback(moments, damping: damping, kernels: kernels, threads: threads) else {
            throw FormatError(text.path, "leads to numbers in \(matrix.name) that are not finite")
        }
        return feedback
    }

    /// Takes tiles of a matrix as they are written.
    func take(_ tiles: UnsafeRawBufferPointer, of matrix: MatrixSource) {
        if case .embedding = matrix.kind {
            embed(tiles)
        } else if matrix.kind.isOfBlock, let half = matrix.kind.inputs {
            runner.append(tiles, to: half)
        }
    }

    /// Takes the bias of a matrix that has been written; `shouldContinue` throws to stop.
    func take(_ bias: [Float], of matrix: MatrixSource, shouldContinue: () throws -> Void) throws {
        guard matrix.kind.isOfBlock, let half = matrix.kind.inputs else { return }
        runner.setBias(bias, of: half)
        guard half == .outer else { return }
        for batch in runner.batches {
            try shouldContinue()
            _ = runner.inputs(of: .outer, batch)
            runner.finish(batch)
        }
    }

    /// Starts from the embedding as the file has it: takes its next rows.
    private func embed(_ tiles: UnsafeRawBufferPointer) {
        let columns = checkpoint.config.hiddenSize, tileRows = TensorEncoding.tileRows
        guard let tileBytes = embedding.tileBytes(columns: columns) else { return }
        let rows = TokenID(tiles.count / tileBytes * tileRows)
        runner.embed(embeddedRows..<embeddedRows + rows) { token, out in
            phi_row(tiles.baseAddress, embedding.stripBytes, Int(token - embeddedRows), columns, out.baseAddress)
        }
        embeddedRows += rows
    }

    /// Starts the exact run from the embedding as the checkpoint has it.
    private func embedExactly() throws(FormatError) {
        try exact.embed(0..<TokenID(checkpoint.config.vocabulary)) { token, out throws(FormatError) in
            try checkpoint.readFinite(.weight(.embedding), Int(token)..<Int(token) + 1, into: out)
        }
    }
}

extension MatrixSource.Kind {
    /// Where a run shows what goes into it: the head's inputs are made as an inner matrix's are.
    fileprivate var inputs: BlockRunner.Half? {
        switch self {
        case .inputProjection, .head: .inner
        case .outputProjection: .outer
        case .embedding: nil
        }
    }

    /// The layer norm that makes its inputs.
    fileprivate var norm: Module? {
        switch self {
        case .inputProjection(let block): .norm(block)
        case .head: .finalNorm
        case .embedding, .outputProjection: nil
        }
    }

    fileprivate var isOfBlock: Bool {
        switch self {
        case .inputProjection, .outputProjection: true
        case .embedding, .head: false
        }
    }
}
