import Phi

extension ModelConfig {
    /// Rows and columns of a part; a vector has one column, and the embedding and the head have a row for each real token.
    func shape(of part: Part) -> (rows: Int, columns: Int) {
        let rows =
            switch part.layer {
            case .embedding, .head: vocabulary
            case .query: querySize
            case .key, .value: keySize
            case .fc1: intermediateSize
            case .norm, .dense, .fc2, .finalNorm: hiddenSize
            }
        let columns =
            switch part {
            case .bias, .weight(.norm), .weight(.finalNorm): 1
            case .weight(.dense): querySize
            case .weight(.fc2): intermediateSize
            case .weight: hiddenSize
            }
        return (rows, columns)
    }
}

extension NameTable {
    /// The shape that the tensor of a part must have in the checkpoint.
    func storedShape(of part: Part, _ config: ModelConfig, paddedVocabulary: Int) -> [Int] {
        var (rows, columns) = config.shape(of: part)
        switch part.layer {
        case .embedding, .head: rows = paddedVocabulary
        case .query, .key, .value: if !attention.isSplit { rows = 3 * config.querySize }
        default: break
        }
        switch part {
        case .bias, .weight(.norm), .weight(.finalNorm): return [rows]
        case .weight: return [rows, columns]
        }
    }
}

extension NameTable.Attention {
    /// Whether queries, keys and values are three modules, which need not be of one size.
    var isSplit: Bool {
        if case .split = self { true } else { false }
    }

    /// Where a part's row is in the tensor that holds it, and how many of the part's rows follow there from it on.
    func storedRow(_ row: Int, of part: Part, _ config: ModelConfig) -> (row: Int, run: Int) {
        let third: Int
        switch part.layer {
        case .query: third = 0
        case .key: third = 1
        case .value: third = 2
        default: return (row, .max)
        }
        switch self {
        case .split: return (row, .max)
        case .threeByHeads: return (third * config.querySize + row, config.querySize - row)
        case .headsByThree:
            let (head, inHead) = row.quotientAndRemainder(dividingBy: config.headSize)
            return ((3 * head + third) * config.headSize + inHead, config.headSize - inHead)
        }
    }
}
