import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// The changes of all blocks and of the head, chosen before anything is written, as all blocks have one number of channels.
struct ModelChanges {
    private(set) var blocks: [Reparameterisation] = []
    let head: Reparameterisation
    /// Channels of the MLP that are added to the checkpoint's; they are zero.
    private(set) var addedChannels = 0

    /// Sequences of the text that are run for samples, and tokens of each: the first ones, where massive activations are.
    private static let sequences = 4, tokens = 32

    /// Chooses by the weights and, with a text's sequences, by the inputs in a run of some of its tokens through the checkpoint in f32. `plan` is
    /// that of the checkpoint as it is. `checkCancellation` throws to stop.
    init(
        _ checkpoint: CheckpointModel, _ plan: ConversionPlan, _ sequences: [[TokenID]]?, kernels: Kernels,
        threads: Int32, checkCancellation: () throws -> Void
    ) throws {
        guard let sequences else {
            for block in plan.blocks {
                try checkCancellation()
                blocks.append(try Reparameterisation(block.inputProjection, block.outputProjection, of: checkpoint))
            }
            head = try Reparameterisation(plan.head, nil, of: checkpoint)
            addChannels(plan.config)
            return
        }
        let step = max(1, sequences.count / Self.sequences)
        let sample = stride(from: 0, to: sequences.count, by: step).prefix(Self.sequences).map {
            Array(sequences[$0].prefix(Self.tokens))
        }
        let runner = try BlockRunner(plan.config, sample, kernels: kernels, threads: Int(threads))
        try runner.embed(checkpoint)
        func encoded(_ matrix: PlannedMatrix) throws -> EncodedMatrix {
            try EncodedMatrix(
                MatrixRows(matrix, of: checkpoint), as: .f32, kernels: kernels, threads: threads, checkCancellation)
        }
        for block in plan.blocks {
            let exact = EncodedBlock(
                norm: try EncodedNorm(of: block.inputProjection, checkpoint),
                inputProjection: try encoded(block.inputProjection),
                outputProjection: try encoded(block.outputProjection))
            var inputs: [Float] = [], outputInputs: [Float] = []
            for batch in runner.batches {
                inputs += runner.normedInputs(of: batch, exact.norm).elements(block.inputProjection.columns)
                runner.advance(batch, through: exact) {
                    outputInputs += $0.elements(block.outputProjection.columns)
                }
            }
            blocks.append(
                try Reparameterisation(
                    block.inputProjection, block.outputProjection, of: checkpoint,
                    inputs: InputSample(inputs, columns: block.inputProjection.columns),
                    outputInputs: InputSample(outputInputs, columns: block.outputProjection.columns)))
        }
        let norm = try EncodedNorm(of: plan.head, checkpoint)
        let inputs = runner.batches.flatMap { runner.normedInputs(of: $0, norm).elements(plan.head.columns) }
        head = try Reparameterisation(
            plan.head, nil, of: checkpoint, inputs: InputSample(inputs, columns: plan.head.columns))
        addChannels(plan.config)
    }

    private mutating func addChannels(_ config: ModelConfig) {
        guard blocks.contains(where: \.needsMoreChannels) else { return }
        let count = ChannelLayout.added(attention: config.querySize, channels: config.intermediateSize)
        guard (try? config.adding(channels: count)) != nil else { return }
        addedChannels = count
        for block in blocks.indices { blocks[block].addChannels(count) }
    }
}

extension ModelConfig {
    /// The config with a wider MLP. Throws when it would be too wide.
    func adding(channels count: Int) throws(ModelConfigError) -> ModelConfig {
        try ModelConfig(
            hiddenSize: hiddenSize, intermediateSize: intermediateSize + count, layers: layers, heads: heads,
            kvHeads: kvHeads, headSize: headSize, rotaryDimensions: rotaryDimensions, context: context,
            vocabulary: vocabulary, endOfText: endOfText, rotaryBase: rotaryBase, layerNormEpsilon: layerNormEpsilon)
    }
}

extension BlockRunner.Inputs {
    /// A copy of its elements, [count][columns].
    fileprivate func elements(_ columns: Int) -> [Float] {
        (0..<count).flatMap { UnsafeBufferPointer(start: rows.start + $0 * rows.stride, count: columns) }
    }
}
