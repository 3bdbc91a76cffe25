import CPhiArguments
import PhiFormat
import PhiSystem

/// The arguments of the command line.
///
/// They are bytes, which need not be UTF-8, but ArgumentParser takes strings. So a byte that is no part of a character becomes
/// a character of its own from ``escapes``, as does each byte of a character in that range, and ``bytes(of:)`` reverses this.
package enum CommandArguments {
    /// The arguments after the command's name.
    package static var strings: [String] {
        (0..<Int32(max(0, phi_argument_count()))).dropFirst().map { string(of: bytes(at: $0)) }
    }

    private static func bytes(at index: Int32) -> [UInt8] {
        guard let argument = phi_argument(index) else { return [] }
        return UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
    }

    /// The characters that stand for the bytes 0x80 to 0xFF; Unicode leaves them to private use.
    private static let escapes: ClosedRange<UInt32> = 0xF780...0xF7FF

    /// The string that stands for `bytes`.
    package static func string(of bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var start = 0
        while true {
            let length: Int
            switch parser.parseScalar(from: &iterator) {
            case .emptyInput: return String(text)
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                length = encoded.count
                if !escapes.contains(scalar.value) {
                    text.append(scalar)
                    start += length
                    continue
                }
            case .error(let count): length = count
            }
            text.append(contentsOf: bytes[start..<start + length].compactMap { Unicode.Scalar(0xF700 + UInt32($0)) })
            start += length
        }
    }

    /// The bytes of an argument, or of a part of one.
    package static func bytes(of text: String) -> [UInt8] {
        text.unicodeScalars.flatMap { scalar in
            escapes.contains(scalar.value) ? [UInt8(scalar.value - 0xF700)] : Array(UTF8.encode(scalar) ?? .init())
        }
    }
}
