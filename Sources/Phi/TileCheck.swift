import PhiFormat

/// Looks inside the tiles of a matrix for what `Formats/phi-file.md` 1.3 forbids there: padding that is not zero, elements
/// or scales that are not finite, a q8 code of 0.
struct TileCheck {
    let matrix: Matrix

    private var blockBytes: Int { matrix.encoding.blockBytes }
    private var blocks: Int { matrix.width / TensorEncoding.blockColumns }
    private var tileCount: Int { roundUp(matrix.rows, to: TensorEncoding.tileRows) / TensorEncoding.tileRows }

    /// The first fault, in words that follow the matrix's name, or nil. Reads every byte once.
    func fault() -> String? {
        for tile in 0..<tileCount {
            let rows = min(TensorEncoding.tileRows, matrix.rows - tile * TensorEncoding.tileRows)
            for block in 0..<blocks {
                let columns = min(TensorEncoding.blockColumns, matrix.columns - block * TensorEncoding.blockColumns)
                let start = matrix.tiles + (tile * blocks + block) * blockBytes
                if let fault = fault(in: start, rows: rows, columns: columns) { return fault }
            }
        }
        return nil
    }

    private func fault(in block: UnsafeRawPointer, rows: Int, columns: Int) -> String? {
        switch matrix.encoding {
        case .vector: nil
        case .f32: floatFault(block, rows, columns, elementBytes: 4)
        case .f16: floatFault(block, rows, columns, elementBytes: 2)
        case .q8, .q4: scaleFault(block, rows, columns) ?? codeFault(block, rows, columns)
        }
    }

    private func floatFault(_ block: UnsafeRawPointer, _ rows: Int, _ columns: Int, elementBytes: Int) -> String? {
        if hasPadding(block, rows, columns, elementBytes: elementBytes) { return "has padding that is not zero" }
        for start in stride(from: 0, to: 1024 * elementBytes, by: 64) {
            // An exponent of all ones is infinity or NaN.
            let words = block.loadUnaligned(fromByteOffset: start, as: SIMD16<UInt32>.self) & 0x7f80_0000
            let halves = block.loadUnaligned(fromByteOffset: start, as: SIMD32<UInt16>.self) & 0x7c00
            if elementBytes == 4 ? any(words .== 0x7f80_0000) : any(halves .== 0x7c00) {
                return "has an element that is not finite"
            }
        }
        return nil
    }

    /// Whether a bit beyond the real rows and columns is set: element (i, k) is number 16 k + i.
    private func hasPadding(_ block: UnsafeRawPointer, _ rows: Int, _ columns: Int, elementBytes: Int) -> Bool {
        if rows == 16, columns == 64 { return false }
        for k in 0..<64 {
            let first = k < columns ? rows : 0
            for byte in (16 * k + first) * elementBytes..<(16 * k + 16) * elementBytes
            where block.load(fromByteOffset: byte, as: UInt8.self) != 0 { return true }
        }
        return false
    }

    /// Scales of 16 rows for each of two groups of 32 columns; those of groups without real columns are padding too.
    private func scaleFault(_ block: UnsafeRawPointer, _ rows: Int, _ columns: Int) -> String? {
        let scales = block.loadUnaligned(as: SIMD32<UInt16>.self)
        if any((scales & 0x7c00) .== 0x7c00) { return "has a scale that is not finite" }
        if rows == 16, columns > 32 { return nil }
        for place in 0..<32 where place % 16 >= rows || place / 16 * 32 >= columns {
            if scales[place] != 0 { return "has a padding scale that is not zero" }
        }
        return nil
    }

    private func codeFault(_ block: UnsafeRawPointer, _ rows: Int, _ columns: Int) -> String? {
        let codes = block + 64
        if rows == 16, columns == 64 {
            guard matrix.encoding == .q8 else { return nil }
            for start in stride(from: 0, to: 1024, by: 64)
            where any(codes.loadUnaligned(fromByteOffset: start, as: SIMD64<UInt8>.self) .== 0) {
                return "has a q8 code of 0"
            }
            return nil
        }
        for k in 0..<64 {
            for i in 0..<16 {
                let code = matrix.encoding == .q8 ? q8Code(codes, i, k) : q4Code(codes, i, k)
                if i >= rows || k >= columns {
                    if code != 0 { return "has padding that is not zero" }
                } else if code == 0, matrix.encoding == .q8 {
                    return "has a q8 code of 0"
                }
            }
        }
        return nil
    }

    private func q8Code(_ codes: UnsafeRawPointer, _ i: Int, _ k: Int) -> UInt8 {
        codes.load(fromByteOffset: 64 * (k / 4) + 4 * i + k % 4, as: UInt8.self)
    }

    private func q4Code(_ codes: UnsafeRawPointer, _ i: Int, _ k: Int) -> UInt8 {
        let pair = codes.load(fromByteOffset: 64 * (k / 8) + 4 * i + k % 4, as: UInt8.self)
        return k / 4 % 2 == 0 ? pair & 15 : pair >> 4
    }
}
