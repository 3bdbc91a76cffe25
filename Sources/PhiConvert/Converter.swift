import CPhiKernels
import Phi
import PhiCheckpoint
import PhiFormat
import PhiJSON
import PhiTokenizer

/// Converts a checkpoint to a `.phi` file: plan, calibrate, quantise, write. Weights are read a few rows at a time, so that
/// memory stays small for any size; calibration holds one block's matrices and sums (of phi-1 0.6 GB in q3 and q4, 0.9 in q8).
///
/// ```swift
/// let checkpoint = try CheckpointModel(path: "phi-1")
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

    /// A conversion to `type`; `threads` defaults to the cores that this process may use, `kernels` to the environment's. `calibration`, used if weights are
    /// rounded to integers, is the text on which rounding is to change the model's outputs least; without one, random tokens are. Throws ``KernelsError``
    /// when `PHI_ISA` names an instruction set that is not available.
    package init(
        _ checkpoint: CheckpointModel, type: WeightType, calibration: CalibrationText? = nil, threads: Int? = nil,
        kernels: Kernels? = nil
    ) throws(KernelsError) {
        self.checkpoint = checkpoint
        self.type = type
        self.calibration = type.isRounded ? calibration : nil
        self.kernels = if let kernels { kernels } else { try .fromEnvironment() }
        self.threads = Int32(threads ?? Engine.defaultThreads)
    }

    package func write(
        to path: String, overwrite: Bool = false, progress: (Double) -> Bool = { _ in true }
    ) throws -> ConversionReport {
        try write(to: FilePath(path), overwrite: overwrite, progress: progress)
    }

    /// Writes the file. Throws ``FormatError`` when the checkpoint or the file is at fault; then `path` is as it was.
    ///
    /// - Parameter progress: Gets the share that is done, 0 to 1; returns false to stop, which throws `CancellationError`.
    package func write(
        to path: FilePath, overwrite: Bool = false, progress: (Double) -> Bool = { _ in true }
    ) throws -> ConversionReport {
        let original = ConversionPlan(checkpoint.config, checkpoint.endsOfText.bounds, type)
        let writer = try PhiFileWriter(
            path, sectionCount: original.sections.count,
            minorVersion: original.minorVersion(with: checkpoint.vocabulary), overwrite: overwrite,
            sources: checkpoint.files.map(\.location))
        let sequences = try calibration?.sequences(Tokenizer(checkpoint.vocabulary), context: original.config.context)
        let changes =
            type.isRounded
            ? try ModelChanges(checkpoint, original, sequences, kernels: kernels, threads: threads) {
                if !progress(0) { throw CancellationError() }
            } : nil
        let addedChannels = changes?.addedChannels ?? 0
        let plan = ConversionPlan(
            try checkpoint.config.adding(channels: addedChannels), checkpoint.endsOfText.bounds, type)
        var report = ConversionReport(type: type, addedChannels: addedChannels)
        let total = Double(plan.matrices.reduce(0) { $0 + $1.rows * $1.columns })
        var done = 0.0
        func advance(_ elements: Int) throws {
            done += Double(elements)
            if !progress(done / total) { throw CancellationError() }
        }
        func checkCancellation() throws { try advance(0) }
        func write(
            _ rows: MatrixRows, _ feedback: ErrorFeedback?, _ take: (MatrixRows.Encoded) throws -> Void = { _ in }
        ) throws {
            try self.write(rows, feedback, to: writer) { encoded in
                report.add(encoded.error, to: rows.matrix.kind, rows.matrix.encoding, rows.activations)
                try take(encoded)
                try advance(encoded.weights.count)
            }
        }

        try writer.write(SectionName.config, required: true, bytes: plan.config.section())
        try writer.write(SectionName.tokenizer, required: true, bytes: checkpoint.vocabulary.section())
        if let generation = plan.generation {
            try writer.write(SectionName.generation, required: false, bytes: generation)
        }
        let embeddingFeedback =
            type.isRounded
            ? try ErrorFeedback.forEmbedding(
                of: checkpoint, original, kernels: kernels, threads: threads, checkCancellation: checkCancellation)
            : nil
        let calibrator =
            type.isRounded
            ? try Calibrator(
                checkpoint, plan.config, calibration,
                sequences
                    ?? CalibrationText.randomSequences(
                        vocabulary: plan.config.vocabulary, context: plan.config.context),
                exactEncoding: type.exactEncoding, kernels, threads) : nil
        try write(rows(of: plan.embedding), embeddingFeedback) { calibrator?.embed($0, of: plan.embedding) }
        for (number, block) in plan.blocks.enumerated() {
            let change = changes?.blocks[number]
            if let calibrator, let change {
                try calibrator.convert(block, change, checkCancellation: checkCancellation) { rows, feedback, tiles in
                    try write(rows, feedback) { tiles.append($0.tiles) }
                }
            } else {
                try write(rows(of: block.inputProjection, change), nil)
                try write(rows(of: block.outputProjection, change), nil)
            }
        }
        let headFeedback = try changes.flatMap {
            try calibrator?.feedback(forNormed: plan.head, $0.head, checkCancellation: checkCancellation)
        }
        try write(rows(of: plan.head, changes?.head), headFeedback)
        report.calibration = calibrator?.record
        let provenance = try Provenance(checkpoint, report, while: { progress(1) })
        try writer.write(SectionName.provenance, required: false, bytes: JSONText.encode(provenance))
        try writeTests(to: writer)
        try writer.commit()
        return report
    }

    private func rows(of matrix: PlannedMatrix, _ change: Reparameterisation? = nil) -> MatrixRows {
        MatrixRows(matrix, of: checkpoint, change)
    }

    /// Writes a matrix's sections: the layer norm of its inputs, its weights and its bias.
    private func write(
        _ rows: MatrixRows, _ feedback: ErrorFeedback?, to writer: PhiFileWriter,
        _ take: (MatrixRows.Encoded) throws -> Void
    ) throws {
        let matrix = rows.matrix, encoding = matrix.encoding
        // Of integers, the product of the largest and the largest scale, a 16-bit float; from 65520 on those round to infinity.
        let largest =
            switch encoding {
            case .f32, .vector: Float.greatestFiniteMagnitude
            case .f16: Float(65_520).nextDown
            case .q8, .q4, .q3: Float(encoding.largestInteger) * 65_504
            }
        if let norm = matrix.norm, let vectors = try rows.norm() {
            try writer.write(norm.weightSection, vector: vectors.weight)
            try writer.write(norm.biasSection, vector: vectors.bias)
        }
        try writer.begin(matrix.section, encoding: encoding, rows: matrix.rows, columns: matrix.columns)
        try rows.encode(as: encoding, feedback: feedback, kernels: kernels, threads: threads) { encoded in
            guard encoded.error.squaredError.isFinite,
                // Of nearly all checkpoints the sum of squares shows already that no weight is too large.
                encoded.error.squaredWeights.squareRoot() <= Double(largest)
                    || encoded.weights.allSatisfy({ $0.magnitude <= largest })
            else {
                throw checkpoint.fault(
                    of: matrix, encoded.rows, beyond: largest,
                    "has weights that are too large for \(encoding.name); --type f32 keeps them")
            }
            try writer.append(encoded.tiles)
            try take(encoded)
        }
        try writer.end()
        if let bias = matrix.biasSection { try writer.write(bias, vector: rows.bias()) }
    }

    /// A file of the checkpoint's weights, for errors.
    private var weightsPath: String {
        (checkpoint.tensors[.weight(.embedding)]?.file ?? checkpoint.ownFiles[0]).path
    }

    /// Writes the tests that `phi verify` runs. The finished file is run to make them, so a conversion to nonsense fails here.
    private func writeTests(to writer: PhiFileWriter) throws {
        let tokenizer = Tokenizer(checkpoint.vocabulary)
        let encoded = Array(tokenizer.encode(Self.testPrompt).prefix(checkpoint.config.context))
        // A vocabulary that lacks bytes may have no token of it.
        let prompt = encoded.isEmpty ? [checkpoint.endsOfText.bounds.start] : encoded
        let placeholder = ModelTests.placeholder(tokenizer: tokenizer, texts: Self.testTexts, prompt: prompt)
        try writer.write(SectionName.tests, required: false, bytes: placeholder.section())
        let model = try LanguageModel(writer.preview(), kernels: kernels, releasesPages: true)
        let tests: ModelTests
        do throws(FormatError) {
            tests = try ModelTests.make(model: model, texts: Self.testTexts, prompt: prompt)
        } catch {
            throw FormatError(weightsPath, "the model, converted to \(type), \(error.fault)")
        }
        try writer.replace(SectionName.tests, bytes: tests.section())
    }

    private static let testPrompt = "def is_even(n):\n    \"\"\"Return True if n is even.\"\"\"\n    return"
    private static let testTexts = [
        testPrompt, "x  =  1\n\n\tif x:\n\t\tpass\n", "it's 3.14 don't", "na\u{EF}ve \u{4F60}\u{597D} \u{1F600}!",
        "<|endoftext|>",
    ]
}
