import PhiFormat

/// Looks inside the tiles of a matrix for what `Formats/phi-file.md` 1.3 forbids there: padding that is not zero, elements
/// or scales that are not finite, a q8 code of 0.
struct TileValidator {
    let matrix: Matrix

    private var encoding: TensorEncoding { matrix.encoding }
    private var strips: Int { matrix.width / TensorEncoding.stripColumns }
    private var tileCount: Int { roundUp(matrix.rows, to: TensorEncoding.tileRows) / TensorEncoding.tileRows }

    /// The first fault, in words that follow the matrix's name, or nil. Reads every byte once.
    func fault() -> String? {
        var place = matrix.tiles
        for tile in 0..<tileCount {
            let rows = min(TensorEncoding.tileRows, matrix.rows - tile * TensorEncoding.tileRows)
            for strip in 0..<strips {
                if encoding.headBytes > 0, strip % TensorEncoding.blockStrips == 0 {
                    if let fault = scaleFault(place, rows) { return fault }
                    place += encoding.headBytes
                }
                let columns = min(TensorEncoding.stripColumns, matrix.columns - strip * TensorEncoding.stripColumns)
                if let fault = fault(in: place, rows: rows, columns: columns) { return fault }
                place += encoding.stripBytes
            }
        }
        return nil
    }

    private func fault(in strip: UnsafeRawPointer, rows: Int, columns: Int) -> String? {
        switch encoding {
        case .vector: nil
        case .f32: floatFault(strip, rows, columns, elementBytes: 4)
        case .f16: floatFault(strip, rows, columns, elementBytes: 2)
        case .q8: codeFault(strip, rows, columns)
        case .q4: factorFault(strip, rows, columns) ?? codeFault(strip + 32, rows, columns)
        }
    }

    private func floatFault(_ strip: UnsafeRawPointer, _ rows: Int, _ columns: Int, elementBytes: Int) -> String? {
        if hasPadding(strip, rows, columns, elementBytes: elementBytes) { return "has padding that is not zero" }
        for start in stride(from: 0, to: 1024 * elementBytes, by: 64) {
            // An exponent of all ones is infinity or NaN.
            let words = strip.loadUnaligned(fromByteOffset: start, as: SIMD16<UInt32>.self) & 0x7f80_0000
            let halves = strip.loadUnaligned(fromByteOffset: start, as: SIMD32<UInt16>.self) & 0x7c00
            if elementBytes == 4 ? any(words .== 0x7f80_0000) : any(halves .== 0x7c00) {
                return "has an element that is not finite"
            }
        }
        return nil
    }

    /// Whether a bit beyond the real rows and columns is set: element (i, k) is number 16 k + i.
    private func hasPadding(_ strip: UnsafeRawPointer, _ rows: Int, _ columns: Int, elementBytes: Int) -> Bool {
        if rows == 16, columns == 64 { return false }
        for k in 0..<64 {
            let first = k < columns ? rows : 0
            for byte in (16 * k + first) * elementBytes..<(16 * k + 16) * elementBytes
            where strip.load(fromByteOffset: byte, as: UInt8.self) != 0 { return true }
        }
        return false
    }

    /// The scales of 16 rows that a block opens with.
    private func scaleFault(_ head: UnsafeRawPointer, _ rows: Int) -> String? {
        let scales = head.loadUnaligned(as: SIMD16<UInt16>.self)
        if any((scales & 0x7c00) .== 0x7c00) { return "has a scale that is not finite" }
        return (rows..<16).allSatisfy { scales[$0] == 0 } ? nil : "has a padding scale that is not zero"
    }

    /// Factors of 16 rows, four bits for each of four groups of 16 columns; those of groups without real columns are
    /// padding too.
    private func factorFault(_ strip: UnsafeRawPointer, _ rows: Int, _ columns: Int) -> String? {
        let factors = strip.loadUnaligned(as: SIMD16<UInt16>.self)
        let beyond = UInt16.max << (4 * ((columns + 15) / 16))  // what lies beyond the last real group
        let isZero = (0..<16).allSatisfy { factors[$0] & ($0 < rows ? beyond : .max) == 0 }
        return isZero ? nil : "has a padding factor that is not zero"
    }

    private func codeFault(_ codes: UnsafeRawPointer, _ rows: Int, _ columns: Int) -> String? {
        if rows == 16, columns == 64 {
            guard encoding == .q8 else { return nil }
            for start in stride(from: 0, to: 1024, by: 64)
            where any(codes.loadUnaligned(fromByteOffset: start, as: SIMD64<UInt8>.self) .== 0) {
                return "has a q8 code of 0"
            }
            return nil
        }
        for k in 0..<64 {
            for i in 0..<16 {
                let code = encoding == .q8 ? q8Code(codes, i, k) : q4Code(codes, i, k)
                if i >= rows || k >= columns {
                    if code != 0 { return "has padding that is not zero" }
                } else if code == 0, encoding == .q8 {
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
