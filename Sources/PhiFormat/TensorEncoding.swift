import CPhiKernels

/// The encoding of a tensor in a `.phi` file (`Formats/phi-file.md`, section 3).
///
/// All properties of a matrix's encoding are in its line of `encodings.inc`, which its number finds.
public enum TensorEncoding: UInt32, Sendable, CaseIterable, BitwiseCopyable {
    /// A plain array of f32: norms and biases.
    case vector = 1
    /// A matrix in tiles of 16 rows, f32.
    case f32 = 16
    /// A matrix in tiles of 16 rows, f16.
    case f16 = 17
    /// A matrix in tiles of 16 rows, 8-bit integers with an f16 scale for 256 columns of a row.
    case q8 = 20
    /// A matrix in tiles of 16 rows, 4-bit codes with a 4-bit factor for 16 columns of a row and an f16 scale for 256.
    case q4 = 21
    /// As q4, with eight of its sixteen codes, as numbers of 3 bits; since version 1.3.
    case q3 = 22

    /// Numbers of encodings that earlier versions of the format had.
    public static let retired: ClosedRange<UInt32> = 18...19

    /// Rows of a tile.
    public static let tileRows = 16
    /// Columns of a strip.
    public static let stripColumns = 64
    /// Strips of a block; a tile's last block has as many as are left.
    public static let blockStrips = 4
    /// Columns of a whole block, which share a scale in each row where there are scales.
    public static let blockColumns = blockStrips * stripColumns

    /// Its line of `encodings.inc`; nil for ``vector``.
    private var listed: phi_encoding? { phi_encoding_numbered(rawValue)?.pointee }

    /// The name that `phi` shows and takes.
    public var name: String { listed.map { String(cString: $0.name) } ?? "vector" }

    /// Bytes of a strip of 16 rows and 64 columns, scales left out; of one element for ``vector``.
    public var stripBytes: Int { listed?.strip_bytes ?? 4 }

    /// Bytes of the scales of 16 rows that a block opens with; 0 for floats.
    public var blockScaleBytes: Int { listed?.block_scale_bytes ?? 0 }

    /// Whether weights are integers times scales, for products with activations that are quantised too.
    package var isQuantised: Bool { blockScaleBytes > 0 }

    /// Offset that makes a weight's integer unsigned; 0 for floats.
    package var zeroPoint: Int32 { listed?.zero_point ?? 0 }

    /// Code that stands for zero where codes are multiplied by factors of groups; else 0.
    package var codeZeroPoint: Int32 { listed?.code_zero_point ?? 0 }

    /// Magnitude of the largest integer that a scale multiplies; 0 for floats.
    package var largestInteger: Int32 { listed?.largest ?? 0 }

    /// Bytes of a tile, 16 rows of `columns` columns, or nil when there are none or more than a file can have; nil for ``vector``.
    public func tileBytes(columns: Int) -> Int? {
        guard self != .vector, columns > 0, columns <= UInt32.max else { return nil }
        let strips = (columns + Self.stripColumns - 1) / Self.stripColumns
        let blocks = (strips + Self.blockStrips - 1) / Self.blockStrips
        return strips * stripBytes + blocks * blockScaleBytes  // below 2^40
    }

    /// Bytes of a tensor, or nil when it has none or they overflow.
    public func byteCount(rows: Int, columns: Int) -> Int? {
        guard rows > 0, columns > 0, rows <= UInt32.max, columns <= UInt32.max else { return nil }
        if self == .vector { return columns == 1 ? rows * 4 : nil }
        guard let tileBytes = tileBytes(columns: columns) else { return nil }
        let (count, overflow) = ((rows + Self.tileRows - 1) / Self.tileRows).multipliedReportingOverflow(by: tileBytes)
        return overflow ? nil : count
    }

    /// Bits that a weight takes in whole blocks, scales included; 32 for ``vector``.
    public var bitsPerWeight: Double {
        if self == .vector { return 32 }
        return Double(8 * (Self.blockStrips * stripBytes + blockScaleBytes)) / Double(Self.tileRows * Self.blockColumns)
    }
}
