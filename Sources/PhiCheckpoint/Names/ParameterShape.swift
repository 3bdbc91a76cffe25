import Phi

extension ModelConfig {
    /// Rows and columns of a parameter: a vector has one column, the embedding and the head have one row per real token.
    package func shape(of parameter: Parameter) -> (rows: Int, columns: Int) {
        let rows =
            switch parameter.module {
            case .embedding, .head: vocabulary
            case .query: querySize
            case .key, .value: keySize
            case .fc1: intermediateSize
            case .norm, .dense, .fc2, .finalNorm: hiddenSize
            }
        let columns =
            switch parameter.module {
            case .dense: querySize
            case .fc2: intermediateSize
            default: hiddenSize
            }
        return (rows, parameter.isVector ? 1 : columns)
    }
}

extension NameTable {
    /// What keeps a model of `config` from having modules of these names; nil if nothing does.
    func fault(_ config: ModelConfig) -> String? {
        if case .fourByThree = attention, config.heads % 4 != 0 {
            return "\(config.heads) heads are not a multiple of 4, as CodeGen's are"
        }
        if !attention.isSplit, config.kvHeads != config.heads {
            return "grouped-query attention is not known with \(scheme.rawValue) names"
        }
        return nil
    }

    /// The shape that the tensor of a parameter must have in the checkpoint.
    func storedShape(of parameter: Parameter, _ config: ModelConfig, paddedVocabulary: Int) -> [Int] {
        var (rows, columns) = config.shape(of: parameter)
        switch parameter.module {
        case .embedding, .head: rows = paddedVocabulary
        case .query, .key, .value: if !attention.isSplit { rows = 3 * config.querySize }
        default: break
        }
        return parameter.isVector ? [rows] : [rows, columns]
    }
}

extension NameTable.Attention {
    /// Whether queries, keys and values are three modules, which need not be of one size.
    var isSplit: Bool {
        if case .split = self { true } else { false }
    }
}

extension NameTable {
    /// The row of the stored tensor that holds a parameter's row, and the number of the parameter's rows that lie there in sequence.
    func storedRow(_ row: Int, of parameter: Parameter, _ config: ModelConfig) -> (row: Int, run: Int) {
        let third: Int
        switch parameter.module {
        case .query: third = 0
        case .key: third = 1
        case .value: third = 2
        default: return (row, .max)
        }
        var (head, inHead) = row.quotientAndRemainder(dividingBy: config.headSize)
        var run = config.headSize - inHead
        if rotaryIsInterleaved, third < 2, inHead < config.rotaryDimensions {
            let half = config.rotaryDimensions / 2
            inHead = inHead < half ? 2 * inHead : 2 * (inHead - half) + 1
            run = 1
        }
        switch attention {
        case .split: return (head * config.headSize + inHead, rotaryIsInterleaved ? run : .max)
        case .threeByHeads: head += third * config.heads
        case .headsByThree: head = 3 * head + third
        case .fourByThree:
            let (part, inPart) = head.quotientAndRemainder(dividingBy: config.heads / 4)
            head = (3 * part + [0, 2, 1][third]) * (config.heads / 4) + inPart
        }
        return (head * config.headSize + inHead, run)
    }
}
