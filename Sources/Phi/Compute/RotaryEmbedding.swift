/// The rotary position embedding (Su et al. 2021, arXiv 2104.09864) in the half-split form of Hugging Face's
/// `modeling_phi.py`: dimension i of a head is rotated with dimension i + rotary / 2, for i < rotary / 2.
///
/// The table is computed as far as sequences get, by ``fill(to:)``, and does not change while commands are executed.
final class RotaryEmbedding: @unchecked Sendable {
    private let half: Int
    private let frequencies: [Float]
    private let table: Buffer<Float>  // [positions][half cosines, half sines]
    private let positions: Int
    /// Positions that the table has.
    private var filled = 0

    /// Creates a table for up to `positions` positions of heads whose first `dimensions` dimensions are rotated.
    init(dimensions: Int, base: Float, positions: Int) throws(SessionError) {
        half = dimensions / 2
        self.positions = positions
        table = try Buffer(positions * dimensions)
        let logarithm = DeterministicMath.log(Double(base))
        // Rounded to f32 at each step as in Hugging Face, so that angles are those of training.
        frequencies = (0..<half).map { i in
            let power = Double(Float(2 * i) / Float(dimensions))
            return 1 / Float(DeterministicMath.exp(power * logarithm))
        }
    }

    /// Computes the table for the positions before `end`, and some more.
    func fill(to end: Int) {
        guard end > filled else { return }
        let end = min(positions, roundUp(end, to: 256))
        for position in filled..<end {
            let row = table.start + position * 2 * half
            for i in 0..<half {
                let angle = Float(position) * frequencies[i]
                let (cosine, sine) = DeterministicMath.cosineAndSine(Double(angle))
                row[i] = Float(cosine)
                row[half + i] = Float(sine)
            }
        }
        filled = end
    }

    /// Rotates `row`, [heads, headSize], in place.
    @inline(__always)
    func rotate(_ row: UnsafeMutablePointer<Float>, heads: Int, headSize: Int, position: Int) {
        let cosines = table.start + position * 2 * half
        let sines = cosines + half
        for head in 0..<heads {
            let low = row + head * headSize
            let high = low + half
            for i in 0..<half {
                let (a, b) = (low[i], high[i])
                low[i] = a * cosines[i] - b * sines[i]
                high[i] = b * cosines[i] + a * sines[i]
            }
        }
    }
}
