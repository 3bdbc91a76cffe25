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

package func safetensors(_ tensors: [String: TestTensor]) -> [UInt8] {
    var entries: [String] = []
    var data: [UInt8] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        let begin = data.count
        for float in tensor.floats { withUnsafeBytes(of: float.bitPattern.littleEndian) { data += $0 } }
        entries.append(
            #""\#(name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(begin),\#(data.count)]}"#
        )
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    return length + header + data
}

/// A safetensors file of this header and `data` bytes of data, 0, 1, 2...
package func safetensors(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
    littleEndian(length ?? UInt64(header.utf8.count)) + Array(header.utf8)
        + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

/// All elements of a tensor.
package func floats(_ tensor: StoredTensor) throws -> [Float] {
    var floats = [Float](repeating: .nan, count: tensor.count)
    try floats.withUnsafeMutableBufferPointer { buffer in try tensor.readFloats(0..<tensor.count, into: buffer) }
    return floats
}
