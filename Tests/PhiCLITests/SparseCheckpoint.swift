import Foundation
import PhiTestSupport
import Testing

/// A checkpoint of zeros in F16, which take no room on the disk and seconds to convert.
struct SparseCheckpoint {
    let hidden, layers: Int

    @discardableResult
    func write(to folder: TemporaryFolder, _ name: String = "checkpoint") throws -> String {
        let rows = 320
        let tiny = TinyCheckpoint(hidden: 8, intermediate: 8, layers: layers, heads: 1, rows: rows)
        let path = try tiny.write(to: folder, name)
        var config = tiny
        config.config["hidden_size"] = "\(hidden)"
        config.config["intermediate_size"] = "\(4 * hidden)"
        config.config["num_attention_heads"] = "\(hidden / 64)"
        try folder.write(name + "/config.json", config.configText)
        var entries: [String] = []
        var end = 0
        for (name, tensor) in tiny.tensors {
            let isVocabulary = name.contains("embed") || name.contains("lm_head")
            let count = isVocabulary ? rows : name.contains("fc1") ? 4 * hidden : hidden
            let shape = tensor.shape.count == 1 ? [count] : [count, name.contains("fc2") ? 4 * hidden : hidden]
            let begin = end
            end += 2 * shape.reduce(1, *)
            entries.append("\"\(name)\":{\"dtype\":\"F16\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}")
        }
        let head = safetensors("{" + entries.joined(separator: ",") + "}", data: [])
        let file = try folder.write(name + "/model.safetensors", head)
        try #require(truncate(file, off_t(head.count + end)) == 0)
        return path
    }
}
