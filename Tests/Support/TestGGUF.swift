/// A GGUF file in parts that tests change: read from a good file, and written again whatever the parts are.
package struct TestGGUF {
    package struct Tensor {
        package var name: String
        /// Innermost first, as in the file.
        package var dimensions: [UInt64]
        package var type: UInt32
        package var data: [UInt8]
        /// Where it says that its data lies; by default where it does.
        package var offset: UInt64?

        package init(_ name: String, _ dimensions: [UInt64], type: UInt32, data: [UInt8]) {
            (self.name, self.dimensions, self.type, self.data) = (name, dimensions, type, data)
        }
    }

    package var magic = Array("GGUF".utf8)
    package var version: UInt32 = 3
    /// Type and value of each key, as bytes.
    package var keys: [(name: String, value: [UInt8])] = []
    package var tensors: [Tensor] = []
    /// Counts to write; by default the true ones.
    package var tensorCount, keyCount: UInt64?
    package var alignment = 32

    package init() {}

    /// Reads a good file of version 3 and alignment 32, whose tensors lie one behind the other.
    package init(_ bytes: [UInt8]) {
        var position = 0
        func take(_ count: Int) -> [UInt8] {
            defer { position += count }
            return Array(bytes[position..<position + count])
        }
        func integer(_ size: Int) -> Int { take(size).reversed().reduce(0) { $0 << 8 | Int($1) } }
        func skipValue(_ type: Int) {
            switch type {
            case 0, 1, 7: position += 1
            case 2, 3: position += 2
            case 4, 5, 6: position += 4
            case 8: position += integer(8)
            case 9:
                let element = integer(4)
                for _ in 0..<integer(8) { skipValue(element) }
            default: position += 8
            }
        }
        position = 8
        let (tensorCount, keyCount) = (integer(8), integer(8))
        for _ in 0..<keyCount {
            let name = String(decoding: take(integer(8)), as: UTF8.self)
            let start = position
            skipValue(integer(4))
            keys.append((name, Array(bytes[start..<position])))
        }
        var offsets: [Int] = []
        for _ in 0..<tensorCount {
            let name = String(decoding: take(integer(8)), as: UTF8.self)
            let dimensions = (0..<integer(4)).map { _ in UInt64(integer(8)) }
            tensors.append(Tensor(name, dimensions, type: UInt32(integer(4)), data: []))
            offsets.append(integer(8))
        }
        let data = (position + 31) / 32 * 32
        for (index, start) in offsets.enumerated() {
            let end = index + 1 < offsets.count ? offsets[index + 1] : bytes.count - data
            tensors[index].data = Array(bytes[data + start..<data + end])
        }
    }

    package subscript(_ key: String) -> [UInt8]? {
        get { keys.first { $0.name == key }?.value }
        set {
            keys.removeAll { $0.name == key }
            if let newValue { keys.append((key, newValue)) }
        }
    }

    package mutating func edit(_ name: String, _ change: (inout Tensor) -> Void) {
        for index in tensors.indices where tensors[index].name == name { change(&tensors[index]) }
    }

    package static func integer(_ number: UInt32) -> [UInt8] { littleEndian(UInt32(4)) + littleEndian(number) }
    package static func flag(_ flag: Bool) -> [UInt8] { littleEndian(UInt32(7)) + [flag ? 1 : 0] }
    package static func real(_ number: Float) -> [UInt8] {
        littleEndian(UInt32(6)) + littleEndian(number.bitPattern)
    }
    package static func text(_ text: String) -> [UInt8] { littleEndian(UInt32(8)) + string(text) }
    package static func texts(_ texts: [String]) -> [UInt8] {
        array(of: 8, count: UInt64(texts.count), texts.flatMap(string))
    }
    package static func array(of type: UInt32, count: UInt64, _ elements: [UInt8]) -> [UInt8] {
        littleEndian(UInt32(9)) + littleEndian(type) + littleEndian(count) + elements
    }
    package static func string(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + text.utf8 }

    package var bytes: [UInt8] {
        func pad(_ bytes: inout [UInt8]) {
            bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
        }
        var head = magic + littleEndian(version)
        head += littleEndian(tensorCount ?? UInt64(tensors.count)) + littleEndian(keyCount ?? UInt64(keys.count))
        for (name, value) in keys { head += Self.string(name) + value }
        var data: [UInt8] = []
        for tensor in tensors {
            head += Self.string(tensor.name) + littleEndian(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { head += littleEndian(dimension) }
            head += littleEndian(tensor.type) + littleEndian(tensor.offset ?? UInt64(data.count))
            data += tensor.data
            pad(&data)
        }
        pad(&head)
        return head + data
    }
}
