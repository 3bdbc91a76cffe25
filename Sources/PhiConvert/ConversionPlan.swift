import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// The contents of a `.phi` file in its order (`Formats/phi-file.md`, 2), with every matrix described once: its sections,
/// the parameters that it is made of, the layer norm of its inputs, and its encoding.
///
/// All of a conversion reads this list: what is written, in which order, how many sections there are, what is calibrated.
struct ConversionPlan {
    /// A transformer block's matrices.
    struct Block {
        let inputProjection: PlannedMatrix  // [query + 2 key + intermediate, hidden]
        let outputProjection: PlannedMatrix  // [hidden, query + intermediate]
    }

    let config: ModelConfig
    /// The bytes of the section `generation`; nil if the file has none.
    let generation: [UInt8]?
    let embedding: PlannedMatrix  // [vocabulary, hidden]
    let blocks: [Block]
    let head: PlannedMatrix  // [vocabulary, hidden]

    init(_ config: ModelConfig, _ bounds: TextBounds, _ type: WeightType) {
        self.config = config
        generation = bounds.section()
        embedding = PlannedMatrix(
            kind: "embedding", section: SectionName.embedding, modules: [.embedding], joined: .byRows, config,
            type.embedding)
        blocks = (0..<config.layers).map { n in
            Block(
                inputProjection: PlannedMatrix(
                    kind: "query, key, value, fc1",
                    norm: PlannedNorm(
                        module: .norm(n), weightSection: SectionName.blockNormWeight(n),
                        biasSection: SectionName.blockNormBias(n)),
                    section: SectionName.inputProjectionWeight(n), biasSection: SectionName.inputProjectionBias(n),
                    modules: [.query(n), .key(n), .value(n), .fc1(n)], joined: .byRows, config, type.blocks),
                outputProjection: PlannedMatrix(
                    kind: "dense, fc2", section: SectionName.outputProjectionWeight(n),
                    biasSection: SectionName.outputProjectionBias(n), modules: [.dense(n), .fc2(n)],
                    joined: .byColumns, config, type.blocks))
        }
        head = PlannedMatrix(
            kind: "head",
            norm: PlannedNorm(
                module: .finalNorm, weightSection: SectionName.normWeight, biasSection: SectionName.normBias),
            section: SectionName.headWeight, biasSection: SectionName.headBias, modules: [.head], joined: .byRows,
            config, type.head)
    }

    /// All matrices.
    var matrices: [PlannedMatrix] {
        [embedding] + blocks.flatMap { [$0.inputProjection, $0.outputProjection] } + [head]
    }

    /// The minor version of the format that has all sections, encodings and `vocabulary`.
    func minorVersion(with vocabulary: Vocabulary) -> UInt16 {
        if matrices.contains(where: { $0.encoding == .q3 }) { return 3 }
        return generation == nil ? UInt16(vocabulary.formatMinorVersion) : 2
    }

    /// The names of all sections.
    var sections: [String] {
        [SectionName.config, SectionName.tokenizer] + (generation == nil ? [] : [SectionName.generation])
            + matrices.flatMap(\.sections)
            + [SectionName.provenance, SectionName.tests]
    }
}

/// A matrix of the `.phi` file, the parameters of the checkpoint that it is made of, and its encoding.
struct PlannedMatrix {
    /// How the modules' weights are joined.
    enum Joint {
        /// One below the other, and their biases likewise.
        case byRows
        /// Side by side, and their biases are added.
        case byColumns
    }

    /// The name that the matrix shares with those of all other blocks in reports.
    let kind: String
    /// The layer norm whose outputs are the matrix's inputs, which precedes it in the file; nil if there is none.
    let norm: PlannedNorm?
    /// The section of the weights.
    let section: String
    /// The section of the bias, which follows; nil if there is none.
    let biasSection: String?
    let modules: [Module]
    let joint: Joint
    /// Rows and columns of each module.
    let shapes: [(rows: Int, columns: Int)]
    let rows, columns: Int
    let encoding: TensorEncoding

    init(
        kind: String, norm: PlannedNorm? = nil, section: String, biasSection: String? = nil, modules: [Module],
        joined joint: Joint, _ config: ModelConfig, _ encoding: TensorEncoding
    ) {
        self.kind = kind
        self.norm = norm
        self.section = section
        self.biasSection = biasSection
        self.modules = modules
        self.joint = joint
        self.encoding = encoding
        shapes = modules.map { config.shape(of: .weight($0)) }
        switch joint {
        case .byRows: (rows, columns) = (shapes.reduce(0) { $0 + $1.rows }, shapes[0].columns)
        case .byColumns: (rows, columns) = (shapes[0].rows, shapes.reduce(0) { $0 + $1.columns })
        }
    }

    /// The names of its sections in the file's order.
    var sections: [String] {
        [norm?.weightSection, norm?.biasSection, section, biasSection].compactMap { $0 }
    }
}

/// A layer norm of the `.phi` file and the module of the checkpoint that it is.
struct PlannedNorm {
    let module: Module
    let weightSection, biasSection: String
}
