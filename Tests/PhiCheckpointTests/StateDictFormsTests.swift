import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// The forms of a state dict of Tools/golden/state_dict_forms.py, each converted and compared with Hugging Face's outcome.
@Suite struct StateDictFormsTests {
    struct Form: Decodable, Sendable, CustomTestStringConvertible {
        let types: [String]
        let body: String
        let outside: String
        let extra: [String]
        let missing: [String]
        let twice: [[String]]
        let tied: Bool
        let expected: String
        let hugging_face: String
        let unexpected: [String]
        let layout: String
        let wrapper: String
        /// The pickle's protocol; 1 stands for torch before 1.6.
        let `protocol`: Int
        /// The archive; nil for safetensors, which are written here.
        let file: String?

        var testDescription: String {
            "\(file ?? "safetensors") \(types) \(body) \(outside) \(layout) \(wrapper) \(extra.count) \(missing) \(twice)"
        }
    }

    private enum Column: Decodable {
        case name(String)
        case isHead(Bool)
        case shape([Int])

        init(from decoder: any Decoder) throws {
            if let name = try? String(from: decoder) {
                self = .name(name)
            } else if let isHead = try? Bool(from: decoder) {
                self = .isHead(isHead)
            } else {
                self = .shape(try [Int](from: decoder))
            }
        }
    }

    private struct Listing: Decodable {
        let parameters: [[Column]]
        let extras: [String: [Column]]
        let forms: [Form]
    }

    struct Entry: Sendable {
        let name: String
        let isHead: Bool
        let shape: [Int]
    }

    private static let listing: Listing? = try? JSONDecoder().decode(
        Listing.self, from: Data(readFile(fixture("state-dicts/forms.json"))))
    static let forms = listing?.forms ?? []
    /// A file of torch before 1.6.
    static let oldTorchFile =
        "state-dicts/" + (forms.first { $0.protocol == 1 && $0.wrapper == "one storage" }?.file ?? "")
    static let entries: [Entry] = (listing?.parameters ?? []).compactMap { row in
        guard case .name(let name) = row[0], case .isHead(let isHead) = row[1], case .shape(let shape) = row[2] else {
            return nil
        }
        return Entry(name: name, isHead: isHead, shape: shape)
    }

    /// The elements of parameter `index` of a form, of which the first is element `start` of the model.
    private static func values(_ form: Form, _ index: Int, from start: Int) -> [Double] {
        let isWide = form.types[index % form.types.count] == "F64"
        return (start..<start + entries[index].shape.reduce(1, *)).map { n in
            Double(CheckpointModelTests.value(n)) + (isWide ? Double(n % 7 - 3) * 0x1p-40 : 0)
        }
    }

    private static func bytes(_ values: [Double], _ type: String) -> [UInt8] {
        values.flatMap { value -> [UInt8] in
            let bits = Float(value).bitPattern
            switch type {
            case "F64": return littleEndian(value.bitPattern)
            case "F32": return littleEndian(bits)
            case "BF16": return littleEndian(UInt16(bits >> 16))
            case "F16":
                let sign = UInt16(bits >> 16) & 0x8000
                return littleEndian(value == 0 ? sign : sign | UInt16((bits & 0x7FFF_FFFF) >> 13 - 112 << 10))
            case "I64": return [UInt8](repeating: 0, count: 8)
            default: return [0]
            }
        }
    }

    private static func safetensorsFile(of form: Form) -> [UInt8] {
        var items: [String] = []
        var data: [UInt8] = []
        func add(_ name: String, _ shape: [Int], _ type: String, _ values: [Double]) {
            let begin = data.count
            data += bytes(values, type)
            items.append(
                #""\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(begin),\#(data.count)]}"#)
        }
        for prefixes in [[form.body, form.outside]] + form.twice {
            var start = 0
            let shift: Double = items.isEmpty ? 0 : 1
            for (index, entry) in entries.enumerated() {
                let values = values(form, index, from: start).map { $0 + shift }
                start += values.count
                if shift == 0, form.missing.contains(entry.name) { continue }
                let type = form.types[index % form.types.count]
                add(prefixes[entry.isHead ? 1 : 0] + entry.name, entry.shape, type, values)
            }
        }
        for name in form.extra {
            guard let item = listing?.extras[name], case .name(let type) = item[0], case .shape(let shape) = item[1]
            else { continue }
            add(name, shape, type, [Double](repeating: 0, count: shape.reduce(1, *)))
        }
        return safetensors("{" + items.joined(separator: ",") + "}", data: data)
    }

    @Test func thereAreAHundredForms() {
        #expect(Self.forms.count >= 186 && Self.entries.count == 33)
        #expect(Self.forms.count { $0.hugging_face == "same" } >= 79)
    }

    @Test(arguments: forms) func convertsAsHuggingFaceLoads(_ form: Form) throws {
        let folder = try TemporaryFolder()
        let config = String(decoding: try readFile(fixture("state-dicts/config.json")), as: UTF8.self)
        let untied = #""tie_word_embeddings": false"#
        try #require(config.contains(untied))
        try folder.write(
            "config.json",
            config.replacingOccurrences(of: untied, with: #""tie_word_embeddings": \#(form.tied)"#))
        try folder.write("tokenizer.json", TinyTokenizer.json(tokens: 280))
        if let file = form.file {
            try folder.write("pytorch_model.bin", readFile(fixture("state-dicts/" + file)))
        } else {
            try folder.write("model.safetensors", Self.safetensorsFile(of: form))
        }
        guard form.expected == "same" else {
            let text = fault { _ = try CheckpointModel(path: folder.path) }
            let words =
                form.twice.isEmpty ? ["has no tensor", "holds no state_dict", "two models"] : ["holds two models"]
            #expect(words.contains { text.contains($0) }, "\(text)")
            return
        }
        let model = try CheckpointModel(path: folder.path)
        var start = 0
        for (index, parameter) in Parameter.all(layers: 2).enumerated() {
            let (rows, columns) = model.config.shape(of: parameter)
            var all = Self.values(form, index, from: start)
            start += all.count
            if form.tied, parameter == .weight(.head), !form.missing.isEmpty { all = Self.values(form, 0, from: 0) }
            let expected = all.prefix(rows * columns).map { Float($0) }
            #expect(try read(model, parameter, 0..<rows, columns) == expected, "\(parameter)")
            let piece = rows / 3..<rows - 1
            #expect(
                try read(model, parameter, piece, columns)
                    == Array(expected[piece.lowerBound * columns..<piece.upperBound * columns]), "\(parameter)")
        }
        guard form.hugging_face == "same" else { return }
        let count = form.unexpected.count
        if count == 0 {
            #expect(model.warnings == [])
        } else {
            let words = (count == 1 ? "a tensor" : "\(count) tensors") + " that phi does not have, left out: "
            #expect(model.warnings.count == 1)
            #expect(model.warnings.first?.contains(words + "'" + form.unexpected[0] + "'") == true, "\(model.warnings)")
        }
    }

    private func read(
        _ model: CheckpointModel, _ parameter: Parameter, _ rows: Range<Int>, _ columns: Int
    ) throws -> [Float] {
        var floats = [Float](repeating: .nan, count: rows.count * columns)
        try floats.withUnsafeMutableBufferPointer { try model.readRows(parameter, rows, into: $0) }
        return floats
    }
}
