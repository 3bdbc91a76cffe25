import PhiCheckpoint

package struct TestTensor {
    package var shape: [Int]
    package var floats: [Float]
    package var type = "F32"

    package init(shape: [Int], floats: [Float]? = nil, type: String = "F32") {
        self.shape = shape
        self.floats = floats ?? [Float](repeating: 0, count: shape.reduce(1, *))
        self.type = type
    }
}

/// A safetensors file of these tensors; `edit` may damage its header.
package func safetensors(
    _ tensors: [(name: String, tensor: TestTensor)], _ edit: (String) -> String = { $0 }
) -> [UInt8] {
    var entries: [String] = []
    var data: [UInt8] = []
    for (name, tensor) in tensors {
        let begin = data.count
        tensor.floats.withUnsafeBytes { data += $0 }
        entries.append(
            #""\#(name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(begin),\#(data.count)]}"#
        )
    }
    return safetensors(edit("{\(entries.joined(separator: ","))}"), data: data)
}

package func safetensors(_ tensors: [String: TestTensor]) -> [UInt8] {
    safetensors(tensors.sorted { $0.key < $1.key }.map { (name: $0.key, tensor: $0.value) })
}

/// A safetensors file of this header and `data` bytes of data, 0, 1, 2...
package func safetensors(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
    safetensors(header, data: (0..<data).map { UInt8(truncatingIfNeeded: $0) }, length: length)
}

/// A safetensors file of this header and data; `length` may be a false length of the header.
package func safetensors(_ header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
    littleEndian(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
}

/// All elements of a tensor.
package func floats(_ tensor: StoredTensor) throws -> [Float] {
    var floats = [Float](repeating: .nan, count: tensor.count)
    try floats.withUnsafeMutableBufferPointer { buffer in try tensor.readFloats(0..<tensor.count, into: buffer) }
    return floats
}
