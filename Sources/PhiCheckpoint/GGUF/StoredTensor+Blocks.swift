import PhiFormat

extension StoredTensor {
    /// Some rows of a matrix or elements of a vector, as a tensor of their own; of types in blocks, each row is whole blocks.
    func rows(_ rows: Range<Int>) -> StoredTensor {
        let width = shape.dropFirst().reduce(1, *)
        let (elements, bytes) = elementType.block ?? (1, 0)
        return StoredTensor(
            name: name, elementType: elementType, shape: [rows.count] + shape.dropFirst(), count: rows.count * width,
            file: file, offset: offset + rows.lowerBound * width / elements * bytes)
    }

    /// Reads as ``readFloats(_:into:)``, elements in blocks of `type`.
    func readBlocks(
        _ type: BlockType, _ elements: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        let last = (elements.upperBound + type.elements - 1) / type.elements
        let capacity = min(floats.count / type.elements + 2, (1 << 17) / type.bytes)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity * type.bytes, alignment: 16)
        let whole = UnsafeMutableBufferPointer<Float>.allocate(capacity: type.elements)
        defer {
            scratch.deallocate()
            whole.deallocate()
        }
        var block = elements.lowerBound / type.elements
        while block < last {
            let count = min(capacity, last - block)
            let piece = UnsafeMutableRawBufferPointer(rebasing: scratch[..<(count * type.bytes)])
            try file.read(at: offset + block * type.bytes, into: piece)
            for index in 0..<count {
                let bytes = UnsafeRawBufferPointer(rebasing: piece[index * type.bytes..<(index + 1) * type.bytes])
                let own = (block + index) * type.elements..<(block + index + 1) * type.elements
                let wanted = own.clamped(to: elements)
                let target = wanted.lowerBound - elements.lowerBound..<wanted.upperBound - elements.lowerBound
                let out = UnsafeMutableBufferPointer(rebasing: floats[target])
                if wanted == own {
                    BlockDecoder.decode(type, bytes, into: out)
                } else {
                    BlockDecoder.decode(type, bytes, into: whole)
                    let start = wanted.lowerBound - own.lowerBound
                    _ = out.update(fromContentsOf: whole[start..<start + wanted.count])
                }
            }
            block += count
        }
    }
}
