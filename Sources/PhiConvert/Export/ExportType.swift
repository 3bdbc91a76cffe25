import PhiFormat

/// The type of the matrices in a GGUF file that is written; vectors are always f32.
package enum ExportType: String, CaseIterable, Sendable {
    case f32, f16, q8_0

    /// Elements of a Q8_0 block.
    static let blockElements = 32

    /// The type of a tensor with rows of `columns` elements: rows that are no whole blocks are f16, as in llama.cpp.
    func fitting(columns: Int) -> ExportType { self == .q8_0 && columns % Self.blockElements != 0 ? .f16 : self }

    /// Its number in the list of tensors (`ggml_type`).
    var number: UInt32 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q8_0: 8
        }
    }

    /// The number of `general.file_type` (`llama_ftype`).
    var fileNumber: UInt32 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q8_0: 7
        }
    }

    /// Bytes of a row of `columns` elements, which fit the type.
    package func bytes(columns: Int) -> Int {
        switch self {
        case .f32: 4 * columns
        case .f16: 2 * columns
        case .q8_0: columns / Self.blockElements * 34
        }
    }

    /// Writes a row, rounded to nearest as llama.cpp's converter does. Returns false if a number is too large for 16-bit floats.
    package func encode(_ row: UnsafeBufferPointer<Float>, into out: UnsafeMutableRawBufferPointer) -> Bool {
        precondition(out.count == bytes(columns: row.count))
        var fits = true
        func store(_ value: Float, at offset: Int) {
            let half = Half.nearest(to: value)
            fits = fits && half & 0x7C00 != 0x7C00
            out.storeBytes(of: half.littleEndian, toByteOffset: offset, as: UInt16.self)
        }
        switch self {
        case .f32: out.copyMemory(from: UnsafeRawBufferPointer(row))
        case .f16: for index in 0..<row.count { store(row[index], at: 2 * index) }
        case .q8_0:
            for block in 0..<row.count / Self.blockElements {
                let values = row[block * Self.blockElements..<(block + 1) * Self.blockElements]
                let scale = values.reduce(0) { max($0, $1.magnitude) } / 127
                let inverse = scale == 0 ? 0 : 1 / scale
                store(scale, at: 34 * block)
                for (index, value) in values.enumerated() {
                    // Of a scale below the smallest normal number the inverse may be infinite.
                    let code = min(max((value * inverse).rounded(), -127), 127)
                    out[34 * block + 2 + index] = UInt8(bitPattern: code.isNaN ? 0 : Int8(code))
                }
            }
        }
        return fits
    }
}

/// 16-bit floats (IEEE 754 binary16), which Swift does not have on every platform.
enum Half {
    /// The bits of the float nearest to `value`, of two the even one; infinity beyond 65,504. NaN is infinity too.
    static func nearest(to value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let magnitude = value.magnitude
        guard magnitude < 65_520 else { return sign | 0x7C00 }
        if magnitude < 0x1p-14 { return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven)) }
        let bits = magnitude.bitPattern
        let rounded = bits + 0xFFF + (bits >> 13 & 1)
        return sign | UInt16(rounded >> 13 - 112 << 10)
    }
}
