import CPhiSupport
import Testing

struct SHA256Tests {
    static func hash(_ bytes: [UInt8], pieces: Int) -> String {
        var state = phi_sha256()
        phi_sha256_begin(&state)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = Array(bytes[start..<min(start + pieces, bytes.count)])
            phi_sha256_add(&state, piece, piece.count)
        }
        var digest = [UInt8](repeating: 0, count: 32)
        phi_sha256_end(&state, &digest)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Vectors of FIPS 180-4's examples.
    @Test func knownAnswers() {
        #expect(Self.hash([], pieces: 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            Self.hash(Array("abc".utf8), pieces: 1)
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)
        #expect(Self.hash(long, pieces: 7) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        let million = [UInt8](repeating: 0x61, count: 1_000_000)
        #expect(Self.hash(million, pieces: 999) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }
}
