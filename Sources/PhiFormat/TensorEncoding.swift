/// How a tensor's numbers stand in a `.phi` file (`Formats/phi-file.md`, section 3).
public enum TensorEncoding: UInt32, Sendable, CaseIterable {
    /// A plain array of f32: norms and biases.
    case vector = 1
    /// A matrix in tiles of 16 rows, f32.
    case f32 = 16
    /// A matrix in tiles of 16 rows, f16.
    case f16 = 17
    /// A matrix in tiles of 16 rows, 8-bit integers with an f16 scale for 32 columns of a row.
    case q8 = 18
    /// A matrix in tiles of 16 rows, 4-bit codes with an f16 scale for 32 columns of a row.
    case q4 = 19

    /// Rows of a tile.
    public static let tileRows = 16
    /// Columns of a block.
    public static let blockColumns = 64

    /// The name that `phi` shows and takes.
    public var name: String {
        switch self {
        case .vector: "vector"
        case .f32: "f32"
        case .f16: "f16"
        case .q8: "q8"
        case .q4: "q4"
        }
    }

    /// Bytes of a block of 16 rows and 64 columns; of one element for ``vector``.
    public var blockBytes: Int {
        switch self {
        case .vector: 4
        case .f32: 4096
        case .f16: 2048
        case .q8: 1088
        case .q4: 576
        }
    }

    /// Bytes of a tensor, or nil when it has none or they overflow.
    public func byteCount(rows: Int, columns: Int) -> Int? {
        guard rows > 0, columns > 0, rows <= UInt32.max, columns <= UInt32.max else { return nil }
        if self == .vector { return columns == 1 ? rows * 4 : nil }
        let tiles = (rows + Self.tileRows - 1) / Self.tileRows
        let blocks = (columns + Self.blockColumns - 1) / Self.blockColumns
        let (count, overflow) = (tiles * blocks).multipliedReportingOverflow(by: blockBytes)
        return overflow ? nil : count
    }

    /// Bits that a weight takes, scales included; 32 for ``vector``.
    public var bitsPerWeight: Double { self == .vector ? 32 : Double(blockBytes) * 8 / 1024 }
}
