import PhiFormat

/// A model's weights in the mapped file, shared by any number of sessions. Opening checks names, shapes and encodings;
/// values are checked by ``LanguageModel/verifyWeights()`` only.
package struct Weights: Sendable {
    /// The parameters of a layer norm.
    package struct Norm: Sendable {
        let weight: Vector  // [hidden]
        let bias: Vector  // [hidden]

        package init(weight: Vector, bias: Vector) {
            self.weight = weight
            self.bias = bias
        }
    }

    /// A transformer block: attention and MLP of the same normalised input.
    package struct Block: Sendable {
        let norm: Norm
        let inputProjection: Matrix  // [query + key + value + intermediate, hidden]
        let inputProjectionBias: Vector
        let outputProjection: Matrix  // [hidden, query + intermediate]
        let outputProjectionBias: Vector

        package init(
            norm: Norm, inputProjection: (Matrix, bias: Vector), outputProjection: (Matrix, bias: Vector)
        ) {
            self.norm = norm
            (self.inputProjection, inputProjectionBias) = inputProjection
            (self.outputProjection, outputProjectionBias) = outputProjection
        }
    }

    let embedding: Matrix  // [vocabulary, hidden]
    let blocks: [Block]
    let norm: Norm
    let head: Matrix  // [vocabulary, hidden]
    let headBias: Vector
    /// The file, which stays mapped as long as the weights are used.
    let file: PhiFile

    /// Finds every tensor in `file` and checks its shape and encoding. Throws `FormatError` naming the first that is
    /// missing or wrong, or the first unknown section that is required.
    init(_ file: PhiFile, _ config: ModelConfig) throws(FormatError) {
        var reader = TensorReader(file: file)
        let hidden = config.hiddenSize
        embedding = try reader.matrix(SectionName.embedding, config.vocabulary, hidden)
        var blocks: [Block] = []
        for n in 0..<config.layers {
            blocks.append(
                Block(
                    norm: Norm(
                        weight: try reader.vector(SectionName.blockNormWeight(n), hidden),
                        bias: try reader.vector(SectionName.blockNormBias(n), hidden)),
                    inputProjection: (
                        try reader.matrix(SectionName.inputProjectionWeight(n), config.inputProjectionRows, hidden),
                        try reader.vector(SectionName.inputProjectionBias(n), config.inputProjectionRows)
                    ),
                    outputProjection: (
                        try reader.matrix(
                            SectionName.outputProjectionWeight(n), hidden, config.outputProjectionColumns),
                        try reader.vector(SectionName.outputProjectionBias(n), hidden)
                    )))
        }
        self.blocks = blocks
        norm = Norm(
            weight: try reader.vector(SectionName.normWeight, hidden),
            bias: try reader.vector(SectionName.normBias, hidden))
        head = try reader.matrix(SectionName.headWeight, config.vocabulary, hidden)
        headBias = try reader.vector(SectionName.headBias, config.vocabulary)
        try reader.rejectUnknown(except: [
            SectionName.config, SectionName.tokenizer, SectionName.generation, SectionName.provenance,
            SectionName.tests,
        ])
        self.file = file
    }

    /// All matrices and their sections' names.
    var matrices: [(name: String, matrix: Matrix)] {
        let inBlocks = blocks.enumerated().flatMap { n, block in
            [
                (SectionName.inputProjectionWeight(n), block.inputProjection),
                (SectionName.outputProjectionWeight(n), block.outputProjection),
            ]
        }
        return [(SectionName.embedding, embedding)] + inBlocks + [(SectionName.headWeight, head)]
    }

    /// Number of bytes read to decode a token: all vectors, and all matrices except the embedding.
    var bytesPerToken: Int {
        file.sections.reduce(0) { sum, section in
            section.encodingNumber == 0 || section.name == SectionName.embedding ? sum : sum + section.length
        }
    }
}

/// A reader of a file's tensors, with the names of those read so far.
private struct TensorReader {
    let file: PhiFile
    var found: Set<String> = []

    mutating func matrix(_ name: String, _ rows: Int, _ columns: Int) throws(FormatError) -> Matrix {
        let (section, bytes) = try find(name, rows, columns)
        guard !TensorEncoding.retired.contains(section.encodingNumber) else {
            throw FormatError(
                file.path,
                "\(name) has encoding \(section.encodingNumber), which is no longer read: convert the checkpoint again")
        }
        guard let encoding = section.encoding, encoding != .vector, let base = bytes.baseAddress else {
            throw FormatError(file.path, "\(name) has encoding \(section.encodingNumber), not that of a matrix")
        }
        return Matrix(encoding: encoding, rows: rows, columns: columns, tiles: base)
    }

    mutating func vector(_ name: String, _ count: Int) throws(FormatError) -> Vector {
        let (section, bytes) = try find(name, count, 1)
        guard section.encoding == .vector, let base = bytes.baseAddress else {
            throw FormatError(file.path, "\(name) has encoding \(section.encodingNumber), not that of a vector")
        }
        return Vector(count: count, elements: base.assumingMemoryBound(to: Float.self))
    }

    private mutating func find(
        _ name: String, _ rows: Int, _ columns: Int
    ) throws(FormatError) -> (Section, UnsafeRawBufferPointer) {
        guard let section = file.section(name) else { throw FormatError(file.path, "has no section \(name)") }
        guard section.rows == rows, section.columns == columns else {
            throw FormatError(
                file.path, "\(name) is \(section.rows) x \(section.columns), by the config \(rows) x \(columns)")
        }
        found.insert(name)
        return (section, file.bytes(of: section))
    }

    func rejectUnknown(except others: Set<String>) throws(FormatError) {
        for section in file.sections
        where section.isRequired && !found.contains(section.name) && !others.contains(section.name) {
            throw FormatError(file.path, "requires section \(section.name), which this version does not support")
        }
    }
}
