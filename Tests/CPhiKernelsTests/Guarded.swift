import Testing

/// A buffer with guard bytes on both sides: whatever an operation writes outside its own part is found.
final class Guarded<Element: BitwiseCopyable> {
    private static var guardBytes: Int { 256 }
    private let raw: UnsafeMutableRawBufferPointer
    let count: Int

    init(_ count: Int, fill: UInt8 = 0xa5) {
        self.count = count
        raw = .allocate(byteCount: count * MemoryLayout<Element>.stride + 2 * Self.guardBytes, alignment: 64)
        raw.initializeMemory(as: UInt8.self, repeating: fill)
    }

    convenience init(_ elements: [Element]) {
        self.init(elements.count)
        for (i, element) in elements.enumerated() { pointer[i] = element }
    }

    deinit { raw.deallocate() }

    var pointer: UnsafeMutablePointer<Element> {
        guard let base = raw.baseAddress else { fatalError("allocation failed") }
        return (base + Self.guardBytes).assumingMemoryBound(to: Element.self)
    }

    /// Every byte, guards included.
    var bytes: [UInt8] { Array(raw) }
    var elements: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Roughly normal, with now and then a large one, as activations are.
    mutating func weights(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in
            let sum = (0..<4).reduce(Float(0)) { total, _ in total + Float.random(in: -1...1, using: &self) }
            return sum * scale * (next() % 97 == 0 ? 20 : 1)
        }
    }
}
