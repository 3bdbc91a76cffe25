import CPhiKernels
import PhiFormat

/// A check of a matrix's tiles for what `Formats/phi-file.md` 1.3 forbids in them: padding that is not zero, elements or scales
/// that are not finite, and what the encoding forbids.
struct TileValidator {
    let matrix: Matrix

    /// The first fault, in words that follow the matrix's name, or nil. Reads every byte once.
    func fault() -> String? {
        let encoding = matrix.encoding
        let strips = matrix.width / TensorEncoding.stripColumns
        var place = matrix.tiles
        for firstRow in stride(from: 0, to: matrix.rows, by: TensorEncoding.tileRows) {
            let rows = min(TensorEncoding.tileRows, matrix.rows - firstRow)
            for strip in 0..<strips {
                if encoding.isQuantised, strip % TensorEncoding.blockStrips == 0 {
                    if let fault = scaleFault(place, rows) { return fault }
                    place += encoding.blockScaleBytes
                }
                let columns = min(TensorEncoding.stripColumns, matrix.columns - strip * TensorEncoding.stripColumns)
                if let fault = phi_strip_fault(encoding.rawValue, place, rows, columns) {
                    return String(cString: fault)
                }
                place += encoding.stripBytes
            }
        }
        return nil
    }

    /// A fault of the scales of 16 rows that a block opens with.
    private func scaleFault(_ scales: UnsafeRawPointer, _ rows: Int) -> String? {
        let scales = scales.loadUnaligned(as: SIMD16<UInt16>.self)
        if any((scales & 0x7c00) .== 0x7c00) { return "has a scale that is not finite" }
        return (rows..<TensorEncoding.tileRows).allSatisfy { scales[$0] == 0 }
            ? nil : "has a padding scale that is not zero"
    }
}
