import PhiTestSupport

/// Mutations that keep to a format's structure.
enum Mutation {
    /// Values that stand where others are expected.
    private static let values = [
        "0", "-1", "1", "2", "3", "8", "16", "255", "1024", "65536", "65537", "1048576", "2147483647", "2147483648",
        "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "18446744073709551615", "18446744073709551616", "1e5", "1e18", "1e19", "1e308", "1e400", "-1e400", "0.5", "1.0",
        "-0.0",
        "1e-400", "5e-324", "null", "true", "false", "[]", "{}", "\"\"", "NaN", "-Infinity", "[null]", "[[1]]",
        "\"a\"", "\"\\ud800\"", "\"\\u0000\"", "\"\\u00e9\"", "\"e\\u0301\"", "\"a b\"", "\"ab\"", "\" \"",
        "\"<|endoftext|>\"",
        "\"model.safetensors\"", "\"..\"", "\"../x\"", "\"(a*)*b\"", "\"BPE\"", "\"Sequence\"", "\"ByteLevel\"",
        "{\"type\": \"Sequence\", \"processors\": [], \"pretokenizers\": []}", "{\"content\": \"ab\", \"id\": 9}",
    ]

    /// Replaces, repeats, removes or wraps a value or a member.
    static func json(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        let tokens = jsonTokens(bytes)
        guard !tokens.isEmpty else { return Array("{}".utf8) }
        let index = random.below(tokens.count)
        let value = span(tokens, from: index, bytes)
        var result = bytes
        switch random.below(9) {
        case 0: result.removeSubrange(value)
        case 1:
            let comma = value.upperBound < bytes.count && bytes[value.upperBound] == 0x3A ? 0x3A : UInt8(ascii: ",")
            result.insert(contentsOf: bytes[value] + [comma], at: value.lowerBound)
        case 2:
            let other = span(tokens, from: random.below(tokens.count), bytes)
            result.replaceSubrange(value, with: bytes[other])
        case 3:
            let depth = 1 << random.below(11)
            result.replaceSubrange(
                value,
                with: [UInt8](repeating: 0x5B, count: depth) + bytes[value] + [UInt8](repeating: 0x5D, count: depth))
        case 4:
            let depth = 1 << random.below(9)
            let open = (0..<depth).flatMap { _ in
                Array("{\"pretokenizers\": [{\"type\": \"Sequence\", \"processors\": ".utf8)
            }
            result.replaceSubrange(value, with: open + bytes[value] + (0..<depth).flatMap { _ in Array("}]}".utf8) })
        case 5:
            let count = 1 << random.below(10)
            result.replaceSubrange(value, with: Array((0..<count).map { _ in bytes[value] }.joined(separator: [0x2C])))
        default: result.replaceSubrange(value, with: Array(values[random.below(values.count)].utf8))
        }
        return result
    }

    private static func jsonTokens(_ bytes: [UInt8]) -> [Range<Int>] {
        var tokens: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            let start = index
            switch bytes[index] {
            case 0x22:
                index += 1
                while index < bytes.count, bytes[index] != 0x22 { index += bytes[index] == 0x5C ? 2 : 1 }
                index = min(index + 1, bytes.count)
            case 0x20, 0x0A, 0x2C, 0x3A, 0x5D, 0x7D:
                index += 1
                if bytes[start] != 0x5D && bytes[start] != 0x7D { continue }
            case 0x5B, 0x7B: index += 1
            default:
                while index < bytes.count, ![0x20, 0x0A, 0x2C, 0x3A, 0x5D, 0x7D, 0x22].contains(bytes[index]) {
                    index += 1
                }
            }
            tokens.append(start..<max(index, start + 1))
        }
        return tokens
    }

    /// A token, or all up to the bracket that closes it.
    private static func span(_ tokens: [Range<Int>], from first: Int, _ bytes: [UInt8]) -> Range<Int> {
        var depth = 0
        for token in tokens[first...] {
            let byte = bytes[token.lowerBound]
            if byte == 0x5B || byte == 0x7B { depth += 1 }
            if byte == 0x5D || byte == 0x7D { depth -= 1 }
            if depth <= 0 { return tokens[first].lowerBound..<token.upperBound }
        }
        return tokens[first]
    }

    static func safetensors(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        guard bytes.count >= 8 else { return Seeds.safetensors[0] }
        let length = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= bytes.count - 8 else { return Seeds.safetensors[0] }
        let header = json(Array(bytes[8..<8 + Int(length)]), &random)
        let lengths = [UInt64(header.count), length, .max, 1 << 63, UInt64(bytes.count)]
        let written = random.below(8) == 0 ? lengths[random.below(lengths.count)] : UInt64(header.count)
        return littleEndian(written) + header + bytes[(8 + Int(length))...]
    }

    /// Pieces of pickles.
    private static let opcodes: [[UInt8]] = [
        [0x28], [0x29], [0x2E], [0x42, 4, 0, 0, 0, 1, 2, 3, 4], [0x43, 0], [0x4A, 0xFF, 0xFF, 0xFF, 0x7F], [0x4B, 1],
        [0x4D, 0xFF, 0xFF], [0x4E], [0x51], [0x52], [0x5D], [0x61], [0x62], [0x65], [0x68, 0], [0x6A, 0, 0, 0, 0x80],
        [0x71, 0], [0x72, 0xFF, 0xFF, 0xFF, 0xFF], [0x73], [0x74], [0x75], [0x7D], [0x85], [0x86], [0x87], [0x88],
        [0x8A, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x8A, 8, 0, 0, 0, 0, 0, 0, 0, 0x80], [0x8A, 9],
        [0x8A, 0],
        [0x8C, 1, 0x61], [0x58, 0xFF, 0xFF, 0xFF, 0xFF], [0x8F], [0x90], [0x93], [0x94],
        [0x95, 0, 0, 0, 0, 0, 0, 0, 0], [0x81],
        Array("ctorch\nHalfStorage\n".utf8), Array("ctorch._utils\n_rebuild_parameter\n".utf8),
        Array("ctorch._tensor\n_rebuild_from_type_v2\n".utf8), Array("cposix\nsystem\n".utf8),
        [0x7D, 0x71, 1, 0x28, 0x68, 1, 0x75],
    ]

    static func torch(_ random: inout SeededRandom) -> [UInt8] {
        var seed = Seeds.torch[random.below(Seeds.torch.count)].seed
        for _ in 0...random.below(4) {
            let place = random.below(seed.pickle.count)
            let piece = opcodes[random.below(opcodes.count)]
            switch random.below(6) {
            case 0: seed.pickle.insert(contentsOf: piece, at: place)
            case 1: seed.pickle.insert(contentsOf: (0..<1 << random.below(12)).flatMap { _ in piece }, at: place)
            case 2:
                // Another number.
                let numbers = seed.pickle.indices.dropLast(5).filter {
                    seed.pickle[$0] == 0x4A && seed.pickle[$0 + 4] == 0
                }
                guard let number = numbers.randomElement(using: &random) else { continue }
                let all: [[UInt8]] = [
                    [0x4A, 0, 0, 0, 0], [0x4A, 1, 0, 0, 0], [0x4A, 0xFF, 0xFF, 0xFF, 0xFF],
                    [0x4A, 0xFF, 0xFF, 0xFF, 0x7F], opcodes[27],
                    opcodes[28], [0x4A, 16, 0, 0, 0],
                ]
                seed.pickle.replaceSubrange(number..<number + 5, with: all[random.below(all.count)])
            default: seed.pickle = random.mutate(seed.pickle, in: 0..<seed.pickle.count)
            }
        }
        if random.below(5) == 0 { return seed.legacy }
        let isWide = random.below(2) == 0
        let bytes = seed.archive { $0.isWide = isWide }
        return random.below(3) == 0 ? random.mutate(bytes, in: max(0, bytes.count - 2000)..<bytes.count) : bytes
    }
}

extension TestGGUF {
    private static let extremes: [UInt64] = [
        0, 1, 2, 3, 31, 32, 33, 255, 256, 1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 61, 1 << 62, 1 << 63, .max - 31,
        .max,
    ]

    /// Changes one of its parts to another that is likely to be wrong.
    mutating func mutate(_ random: inout SeededRandom) {
        let extreme = Self.extremes[random.below(Self.extremes.count)]
        let tensor = tensors.isEmpty ? 0 : random.below(tensors.count),
            key = keys.isEmpty ? 0 : random.below(keys.count)
        switch random.below(16) {
        case 0: version = UInt32(truncatingIfNeeded: extreme)
        case 1: tensorCount = extreme
        case 2: keyCount = extreme
        case 3: if !tensors.isEmpty { tensors[tensor].offset = extreme & ~31 }
        case 4: if !tensors.isEmpty { tensors[tensor].type = UInt32(random.below(42)) }
        case 5:
            if !tensors.isEmpty {
                tensors[tensor].dimensions = (0..<random.below(6)).map { _ in
                    Self.extremes[random.below(Self.extremes.count)]
                }
            }
        case 6:
            if !tensors.isEmpty, !tensors[tensor].dimensions.isEmpty {
                tensors[tensor].dimensions[random.below(tensors[tensor].dimensions.count)] = extreme
            }
        case 7: if !tensors.isEmpty { tensors.insert(tensors[tensor], at: random.below(tensors.count)) }
        case 8: if !tensors.isEmpty { tensors.remove(at: tensor) }
        case 9: if !tensors.isEmpty { tensors[tensor].data = Array(tensors[tensor].data.prefix(random.below(200))) }
        case 10:
            alignment = 1 << random.below(12)
            self["general.alignment"] = Self.integer(UInt32(random.below(2) == 0 ? alignment : random.below(70)))
        case 11: if !keys.isEmpty { keys.remove(at: key) }
        case 12: if !keys.isEmpty { keys.insert(keys[key], at: 0) }
        case 13:
            let element = UInt32(random.below(14))
            if !keys.isEmpty {
                keys[key].value = Self.array(
                    of: element, count: extreme, [UInt8](repeating: 0, count: random.below(200)))
            }
        case 14:
            if keys.isEmpty { return }
            let values = [
                Self.integer(UInt32(truncatingIfNeeded: extreme)), Self.flag(true), Self.real(.nan),
                Self.real(.infinity), Self.real(0),
                littleEndian(UInt32(10)) + littleEndian(extreme),
                littleEndian(UInt32(12)) + littleEndian(Double.nan.bitPattern),
                Self.text("phi2"), Self.texts(["a", "a"]), Self.texts([]), Self.texts([" ", "a  b", ""]),
                littleEndian(UInt32(8)) + littleEndian(extreme),
            ]
            keys[key].value = values[random.below(values.count)]
        default:
            if !keys.isEmpty { keys[key].value = random.mutate(keys[key].value, in: 0..<keys[key].value.count) }
        }
    }
}
