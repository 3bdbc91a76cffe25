import PhiCheckpoint
import CPhiKernels
import Phi
import PhiFormat
import PhiTokenizer

/// Turns a checkpoint into a `.phi` file, a few rows at a time, so that memory stays small for any size; calibration holds what belongs
/// to one block (of phi-1 0.6 GB in q4, 0.9 in q8).
///
/// ```swift
/// let checkpoint = try CheckpointModel(directory: "phi-1")
/// let report = try Converter(checkpoint, type: .q4).write(to: "phi-1.phi")
/// ```
///
/// The same checkpoint gives the same bytes, on any machine and any number of threads.
package struct Converter {
    private let checkpoint: CheckpointModel
    private let type: WeightType
    private let calibration: CalibrationText?
    private let kernels: Kernels
    private let threads: Int32

    /// Prepares a conversion; `threads` defaults to the cores that this process may use. With a calibration text, q4 and
    /// q8 round so that what the model makes of it changes least; other types do not look at it. Throws ``KernelsError``
    /// when `PHI_ISA` asks for kernels that cannot be had.
    package init(
        _ checkpoint: CheckpointModel, type: WeightType, calibration: CalibrationText? = nil, threads: Int? = nil
    ) throws(KernelsError) {
        self.checkpoint = checkpoint
        self.type = type
        self.calibration = type.isRounded ? calibration : nil
        kernels = try .fromEnvironment()
        self.threads = Int32(threads ?? Engine.defaultThreads)
    }

    /// Writes the file. Throws ``FormatError`` when the checkpoint or the file is at fault; then `path` is as it was.
    ///
    /// - Parameter progress: Told the share that is done, 0 to 1; returns false to stop, which throws
    ///   `CancellationError`.
    package func write(
        to path: String, overwrite: Bool = false, progress: (Double) -> Bool = { _ in true }
    ) throws -> ConversionReport {
        let matrices = self.matrices
        // config, tokenizer, four vectors a block, final norm, head bias, provenance, tests
        let count = matrices.count + 4 * checkpoint.config.layers + 7
        let writer = try PhiFileWriter(path: path, sectionCount: count, overwrite: overwrite)
        var report = ConversionReport(type: type)
        let total = Double(matrices.reduce(0) { $0 + $1.rows * $1.columns })
        var done = 0.0
        func advance(_ elements: Int) throws {
            done += Double(elements)
            if !progress(done / total) { throw CancellationError() }
        }

        try writer.write(SectionName.config, required: true, bytes: checkpoint.config.section())
        try writer.write(SectionName.tokenizer, required: true, bytes: checkpoint.vocabulary.section())
        let embeddingFeedback =
            type.isRounded
            ? try ErrorFeedback.forEmbedding(
                of: checkpoint, seenBy: matrices[1], kernels: kernels, threads: threads
            ) { try advance(0) } : nil
        let calibrator = try calibration.map { try Calibrator(checkpoint, $0, type, kernels, threads) }
        for matrix in matrices {
            try writeVectors(before: matrix, to: writer)
            let feedback =
                matrix.kind.isEmbedding
                ? embeddingFeedback : try calibrator?.feedback(for: matrix) { try advance(0) }
            try write(matrix, to: writer, &report, feedback, calibrator, advance)
            try writeBias(of: matrix, to: writer, calibrator) { try advance(0) }
        }
        report.calibration = calibrator.map { $0.record }
        let provenance = try Provenance(checkpoint, report, while: { progress(1) })
        try writer.write(SectionName.provenance, required: false, bytes: provenance.section())
        try writeTests(to: writer)
        try writer.commit()
        return report
    }

    private func encoding(of matrix: MatrixSource) -> TensorEncoding {
        switch matrix.kind {
        case .embedding: type.embedding
        case .inputProjection, .outputProjection: type.blocks
        case .head: type.head
        }
    }

    /// All matrices in the file's order.
    private var matrices: [MatrixSource] {
        func source(
            _ name: String, _ kind: MatrixSource.Kind, _ arrangement: MatrixSource.Arrangement, _ layers: Module...
        ) -> MatrixSource {
            MatrixSource(name, kind, layers, arrangement, of: checkpoint)
        }
        let blocks = (0..<checkpoint.config.layers).flatMap { n in
            [
                source(
                    SectionName.inputProjectionWeight(n), .inputProjection(n), .stacked, .query(n), .key(n), .value(n),
                    .fc1(n)),
                source(SectionName.outputProjectionWeight(n), .outputProjection(n), .sideBySide, .dense(n), .fc2(n)),
            ]
        }
        return [source(SectionName.embedding, .embedding, .stacked, .embedding)] + blocks
            + [source(SectionName.headWeight, .head, .stacked, .head)]
    }

    private func writeVectors(before matrix: MatrixSource, to writer: PhiFileWriter) throws(FormatError) {
        switch matrix.kind {
        case .inputProjection(let n):
            try writer.write(SectionName.blockNormWeight(n), vector: checkpoint.readVector(.weight(.norm(n))))
            try writer.write(SectionName.blockNormBias(n), vector: checkpoint.readVector(.bias(.norm(n))))
        case .head:
            try writer.write(SectionName.normWeight, vector: checkpoint.readVector(.weight(.finalNorm)))
            try writer.write(SectionName.normBias, vector: checkpoint.readVector(.bias(.finalNorm)))
        case .embedding, .outputProjection: break
        }
    }

    private func writeBias(
        of matrix: MatrixSource, to writer: PhiFileWriter, _ calibrator: Calibrator?, shouldContinue: () throws -> Void
    ) throws {
        let name: String
        switch matrix.kind {
        case .embedding: return
        case .inputProjection(let n): name = SectionName.inputProjectionBias(n)
        case .outputProjection(let n): name = SectionName.outputProjectionBias(n)
        case .head: name = SectionName.headBias
        }
        let bias = try matrix.bias(of: checkpoint)
        try writer.write(name, vector: bias)
        try calibrator?.take(bias, of: matrix, shouldContinue: shouldContinue)
    }

    /// Writes what `phi verify` replays: the finished file is run for it, so a conversion that made nonsense fails here.
    private func writeTests(to writer: PhiFileWriter) throws {
        let tokenizer = Tokenizer(checkpoint.vocabulary)
        let prompt = Array(tokenizer.encode(Self.testPrompt).prefix(checkpoint.config.context))
        let placeholder = ModelTests.placeholder(tokenizer: tokenizer, texts: Self.testTexts, prompt: prompt)
        try writer.write(SectionName.tests, required: false, bytes: placeholder.section())
        let model = try LanguageModel(writer.preview(), kernels: kernels, releasesPages: true)
        let tests = try ModelTests.make(model: model, texts: Self.testTexts, prompt: prompt)
        try writer.replace(SectionName.tests, bytes: tests.section())
    }

    private static let testPrompt = "def is_even(n):\n    \"\"\"Return True if n is even.\"\"\"\n    return"
    private static let testTexts = [
        testPrompt, "x  =  1\n\n\tif x:\n\t\tpass\n", "it's 3.14 don't", "na\u{EF}ve \u{4F60}\u{597D} \u{1F600}!",
        "<|endoftext|>",
    ]

    private func write(
        _ matrix: MatrixSource, to writer: PhiFileWriter, _ report: inout ConversionReport,
        _ feedback: ErrorFeedback?, _ calibrator: Calibrator?, _ advance: (Int) throws -> Void
    ) throws {
        let encoding = encoding(of: matrix)
        try writer.begin(matrix.name, encoding: encoding, rows: matrix.rows, columns: matrix.columns)
        try matrix.encode(encoding, of: checkpoint, feedback: feedback, kernels, threads) { bytes, error, weights in
            guard error.squaredError.isFinite,
                // The sum of squares says of nearly all checkpoints that no weight is too large.
                error.squaredWeights.squareRoot() <= Double(encoding.largestWeight)
                    || weights.allSatisfy({ $0.magnitude <= encoding.largestWeight })
            else {
                throw FormatError(
                    writer.path, "\(matrix.name) has weights that are too large for \(encoding.name)")
            }
            report.add(error, to: matrix.kind.label, encoding)
            try writer.append(bytes)
            calibrator?.take(bytes, of: matrix)
            try advance(weights.count)
        }
        try writer.end()
    }
}

extension TensorEncoding {
    /// What the largest scale, a 16-bit float, and the largest integer carry.
    fileprivate var largestWeight: Float {
        switch self {
        case .q4: 64 * 65_504
        case .q8: 127 * 65_504
        case .f16, .f32, .vector: .greatestFiniteMagnitude
        }
    }
}

extension MatrixSource.Kind {
    fileprivate var isEmbedding: Bool {
        if case .embedding = self { true } else { false }
    }
}
