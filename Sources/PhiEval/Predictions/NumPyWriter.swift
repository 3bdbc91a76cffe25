import PhiFormat

/// A writer of a two-dimensional float32 array as a `.npy` file, version 1.0 (NumPy's `numpy/lib/format.py`), row by row.
package struct NumPyWriter {
    private let file: AtomicFile

    /// Begins the file, which replaces an existing one. Throws ``FormatError`` when `path` cannot be written, or is one of the
    /// `sources` of the logits.
    package init(_ path: FilePath, rows: Int, columns: Int, sources: [FilePath]) throws(FormatError) {
        file = try AtomicFile(path, overwrite: true, sources: sources)
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        // Magic, version and length take 10 bytes; the data starts at a multiple of 64.
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        let length = header.utf8.count
        try file.append([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 255), UInt8(length >> 8)])
        try file.append(Array(header.utf8))
    }

    /// Appends a row.
    package func append(_ row: UnsafeBufferPointer<Float>) throws(FormatError) {
        try file.append(UnsafeRawBufferPointer(row))
    }

    /// Completes the file; only then it appears at its path.
    package func commit() throws(FormatError) { try file.commit() }
}
