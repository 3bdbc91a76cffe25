import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

// Parts of a checkpoint by the text of a directory's path.

extension CheckpointPlace {
    package init(_ path: String) throws(FormatError) { try self.init(FilePath(path)) }
}

extension CheckpointConfig {
    package init(directory: String, vocabulary: Int, endOfText: Int) throws(FormatError) {
        try self.init(directory: FilePath(directory), vocabulary: vocabulary, endOfText: endOfText)
    }
}

extension EndsOfText {
    package init(directory: String, _ vocabulary: Vocabulary, named: [String] = []) throws(FormatError) {
        try self.init(directory: FilePath(directory), vocabulary, named: named)
    }
}

extension TokenizerFiles {
    package init(directory: String) throws(FormatError) { try self.init(directory: FilePath(directory)) }
}

extension Adapter {
    package init(directory: String, of base: CheckpointModel, weight: Float = 1) throws(FormatError) {
        try self.init(directory: FilePath(directory), of: base, weight: weight)
    }
}
