/// The rotary position embedding (Su et al. 2021, arXiv 2104.09864) in the half-split form of Hugging Face's
/// `modeling_phi.py`: dimension i of a head is rotated with dimension i + rotary / 2, for i < rotary / 2.
///
/// The table is immutable after initialisation.
final class RotaryEmbedding: @unchecked Sendable {
    private let half: Int
    private let table: Buffer<Float>  // [positions][half cosines, half sines]

    /// Creates a table for `positions` positions of heads whose first `dimensions` dimensions are rotated.
    init(dimensions: Int, base: Float, positions: Int) throws(SessionError) {
        half = dimensions / 2
        table = try Buffer(positions * dimensions)
        let logarithm = DeterministicMath.log(Double(base))
        for i in 0..<half {
            // Rounded to f32 at each step as in Hugging Face, so that angles are those of training.
            let power = Double(Float(2 * i) / Float(dimensions))
            let frequency = 1 / Float(DeterministicMath.exp(power * logarithm))
            for position in 0..<positions {
                let angle = Float(position) * frequency
                let (cosine, sine) = DeterministicMath.cosineAndSine(Double(angle))
                table.start[position * dimensions + i] = Float(cosine)
                table.start[position * dimensions + half + i] = Float(sine)
            }
        }
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
