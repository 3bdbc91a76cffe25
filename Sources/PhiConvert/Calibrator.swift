import CPhiKernels
import Phi
import PhiFormat
import PhiTokenizer

/// Follows a conversion with a calibration text: before each block matrix is encoded it says how its rounding errors are best
/// made good, and for that runs the text through the blocks as they have been encoded so far.
final class Calibrator {
    private let checkpoint: CheckpointModel
    private let runner: BlockRunner
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
        let texts = try text.texts(Tokenizer(checkpoint.vocabulary), context: checkpoint.config.context)
        runner = try BlockRunner(
            checkpoint.config, texts, encoding: type.blocks, cache: .f16, kernels: kernels, threads: Int(threads))
    }

    /// How the errors of a block's matrix are fed back; nil for other matrices. Asked before the matrix is written;
    /// `goOn` throws to stop.
    func feedback(for matrix: MatrixSource, goOn: () throws -> Void) throws -> ErrorFeedback? {
        guard let (block, half) = matrix.kind.place else { return nil }
        if half == .inner {
            runner.setNorm(
                weight: try checkpoint.readVector(.weight(.norm(block))),
                bias: try checkpoint.readVector(.bias(.norm(block))))
        }
        let moments = InputMoments(width: matrix.columns, kernels: kernels, threads: threads)
        try runner.inputs(of: half) { x, stride, rows in
            try goOn()
            moments.add(x, stride, rows: rows)
        }
        moments.flush()
        guard let feedback = ErrorFeedback(moments, kernels: kernels, threads: threads) else {
            throw FormatError(text.path, "leads to numbers in \(matrix.name) that are not finite")
        }
        return feedback
    }

    /// Takes tiles of a matrix as they are written.
    func take(_ tiles: UnsafeRawBufferPointer, of matrix: MatrixSource) {
        if let (_, half) = matrix.kind.place {
            runner.append(tiles, to: half)
        } else if case .embedding = matrix.kind {
            embed(tiles)
        }
    }

    /// Takes the bias of a matrix that has been written; `goOn` throws to stop.
    func take(_ bias: [Float], of matrix: MatrixSource, goOn: () throws -> Void) throws {
        guard let (_, half) = matrix.kind.place else { return }
        runner.setBias(bias, of: half)
        if half == .outer { try runner.finishBlock(while: goOn) }
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
}

extension MatrixSource.Kind {
    /// Its block, and which of the block's matrices it is.
    fileprivate var place: (block: Int, half: BlockRunner.Half)? {
        switch self {
        case .blockIn(let block): (block, .inner)
        case .blockOut(let block): (block, .outer)
        case .embedding, .head: nil
        }
    }
}
