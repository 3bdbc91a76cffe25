/// A read-only, bounds-checked view of memory that it does not own.
///
/// It is valid only inside the closure that provided the memory.
struct ByteView {
    private let bytes: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    var count: Int { bytes.count }

    subscript(index: Int) -> UInt8 {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: bytes.count))
            return bytes[index]
        }
    }

    /// Returns whether the `count` bytes at `first` equal those at `second`. Linear in `count`.
    @inline(__always)
    func bytesMatch(_ count: Int, from first: Int, and second: Int) -> Bool {
        precondition(count >= 0 && first >= 0 && second >= 0)
        if count <= 8, max(first, second) + 8 <= bytes.count, let base = bytes.baseAddress {
            // Most tokens are short: compare two words, with the bytes beyond `count` shifted out.
            let first = UInt64(littleEndian: UnsafeRawPointer(base + first).loadUnaligned(as: UInt64.self))
            let second = UInt64(littleEndian: UnsafeRawPointer(base + second).loadUnaligned(as: UInt64.self))
            return (first ^ second) << UInt64(8 * (8 - count)) == 0
        }
        for index in 0..<count where self[first + index] != self[second + index] { return false }
        return true
    }

    /// Returns up to 15 bytes and their count packed into two words; equal words mean equal bytes.
    @inline(__always)
    func words(_ range: Range<Int>) -> (low: UInt64, high: UInt64) {
        let count = range.count
        precondition(count < 16 && range.lowerBound >= 0 && range.upperBound <= bytes.count)
        var low: UInt64 = 0
        var high = UInt64(truncatingIfNeeded: count) << 56
        if range.lowerBound + 16 <= bytes.count, let base = bytes.baseAddress {
            // Reads past the range but within the view, and masks off the excess.
            let words = UnsafeRawPointer(base + range.lowerBound)
            low = UInt64(littleEndian: words.loadUnaligned(as: UInt64.self))
            if count < 8 {
                low &= (1 << (UInt64(truncatingIfNeeded: count) &* 8)) &- 1
            } else {
                let upper = UInt64(littleEndian: words.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                high |= upper & ((1 << (UInt64(truncatingIfNeeded: count &- 8) &* 8)) &- 1)
            }
        } else {
            for index in 0..<count {
                let byte = UInt64(bytes[range.lowerBound + index])
                if index < 8 { low |= byte << UInt64(8 * index) } else { high |= byte << UInt64(8 * (index - 8)) }
            }
        }
        return (low, high)
    }
}
