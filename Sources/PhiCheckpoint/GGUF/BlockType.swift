/// A quantised type of ggml: elements come in blocks that share scales. The raw value is its number in GGUF files.
package enum BlockType: UInt32, Sendable, CaseIterable {
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case iq4_NL = 20
    case iq4_XS = 23

    /// ggml's name.
    package var name: String { "\(self)".prefix { $0 != "_" }.uppercased() + "\(self)".drop { $0 != "_" } }

    /// Elements of a block.
    package var elements: Int {
        switch self {
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_NL: 32
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_XS: 256
        }
    }

    /// Bytes of a block.
    package var bytes: Int {
        switch self {
        case .q4_0, .iq4_NL: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q2_K: 84
        case .q3_K: 110
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        case .iq4_XS: 136
        }
    }
}

extension ElementType {
    /// The type of a number in a GGUF file.
    init(ggml number: UInt32) {
        switch number {
        case 0: self = .float32
        case 1: self = .float16
        case 30: self = .bfloat16
        default: self = BlockType(rawValue: number).map(ElementType.blocks) ?? .other(Self.name(ggml: number))
        }
    }

    /// Elements and bytes of a block; one element where there are no blocks, nil if the type cannot be read.
    var block: (elements: Int, bytes: Int)? {
        if case .blocks(let type) = self { return (type.elements, type.bytes) }
        return size.map { (1, $0) }
    }

    /// The types of GGUF files that can be read.
    static let ggmlTypes = (["F32", "F16", "BF16"] + BlockType.allCases.map(\.name)).joined(separator: ", ")

    /// Names of types that are not read: https://github.com/ggml-org/ggml/blob/master/include/ggml.h.
    private static func name(ggml number: UInt32) -> String {
        let names: [UInt32: String] = [
            9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
            24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8",
            33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
        ]
        return names[number] ?? "number \(number)"
    }
}
