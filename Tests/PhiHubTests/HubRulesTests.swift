import CPhiSupport
import PhiHub
import Testing

/// Ids, revisions, addresses, digests and progress.
@Suite struct HubRulesTests {
    @Test(arguments: [
        ("microsoft/phi-1", true), ("a/b", true), ("_a.b/c_d-e.f", true), ("phi-1", false), ("a/b/c", false),
        ("/a", false),
        ("a/", false), ("./a", false), ("../a", false), ("a/..", false), ("a--b/c", false), ("a/b..c", false),
        ("a/b.git", false), ("-a/b", false), ("a/b-", false), ("a/b.", false), ("a b/c", false), ("\u{E9}/b", false),
        ("a/b\n", false), ("", false), ("a/" + String(repeating: "b", count: 95), false),
    ])
    func knowsIds(_ text: String, _ isID: Bool) { #expect((ModelID(text) != nil) == isID) }

    @Test(arguments: [
        ("main", true), ("refs/pr/1", true), ("v1.0", true), ("a b", true), ("", false), ("/", false), ("a//b", false),
        ("..", false),
        ("a/../b", false), ("./a", false), ("a\0", false), ("a\n", false), (String(repeating: "a", count: 256), false),
    ])
    func knowsRevisions(_ text: String, _ isRevision: Bool) { #expect((Revision(text) != nil) == isRevision) }

    @Test func tellsCommitsFromOtherRevisions() {
        let commit = String(repeating: "0123456789abcdef", count: 3).prefix(40)
        #expect(Revision.isCommit(String(commit)))
        #expect(!Revision.isCommit(commit.uppercased()) && !Revision.isCommit(String(commit.dropLast())))
    }

    @Test func encodesNamesForAddresses() {
        #expect(percentEncoded("model-00001.safetensors~_") == "model-00001.safetensors~_")
        #expect(percentEncoded("refs/pr/1 \u{E9}?#%\t") == "refs%2Fpr%2F1%20%C3%A9%3F%23%25%09")
    }

    @Test func readsContentRanges() {
        #expect(ContentRange("bytes 100-199/200").map { $0.start == 100 && $0.size == 200 } == true)
        #expect(ContentRange("Bytes 0-1/*").map { $0.start == 0 && $0.size == nil } == true)
        for text in [
            nil, "", "bytes", "bytes */200", "bytes -1-2/3", "items 1-2/3", "bytes 1-2",
            "bytes 99999999999999999999-1/2",
        ] {
            #expect(ContentRange(text) == nil, "\(text ?? "nil")")
        }
    }

    /// FIPS 180-4's examples, and lengths around a block's.
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
    ])
    func computesSHA1(_ text: String, _ digest: String) {
        let bytes = Array(text.utf8)
        for piece in [1, 63, 64, 1000, 1 << 20] where bytes.count / piece < 100_000 {
            var hash = phi_sha1()
            phi_sha1_begin(&hash)
            for start in stride(from: 0, to: bytes.count, by: piece) {
                let part = Array(bytes[start..<min(start + piece, bytes.count)])
                phi_sha1_add(&hash, part, part.count)
            }
            var result = [UInt8](repeating: 0, count: 20)
            phi_sha1_end(&hash, &result)
            #expect(result.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == digest)
        }
    }

    @Test func hashesAsGitAndTheHubDo() {
        func digest(_ kind: ContentDigest, _ text: String) -> ContentDigest {
            var hash = ContentHash(kind, size: text.utf8.count)
            Array(text.utf8).withUnsafeBytes { hash.add($0) }
            return hash.digest()
        }
        #expect(digest(.git(""), "") == .git("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"))
        #expect(digest(.git(""), "hello\n") == .git("ce013625030ba8dba906f756967f9e9ca394464a"))
        #expect(
            digest(.sha256(""), "abc")
                == .sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
    }

    @Test(arguments: [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (64_482, "64.48 kB"), (999_999, "999.99 kB"),
        (2_836_623_617, "2.83 GB"),
        (5_000_000, "5.00 MB"), (Int.max, "9223372036.85 GB"),
    ])
    func showsBytes(_ count: Int, _ text: String) { #expect(shownBytes(count) == text) }

    /// A network of 10 MB/s, whose pieces arrive unevenly.
    @Test func theTimeLeftIsSteady() throws {
        var progress = DownloadProgress(totalBytes: 1_000_000_000)
        progress.skip(200_000_000)
        var time = 5.0, expected: [Double] = [], shown: [Int] = []
        progress.add(0, at: time)
        for step in 0..<400 {
            time += 0.1
            progress.add(step % 4 == 0 ? 4_000_000 : 0, at: time)
            guard let left = progress.secondsLeft else { continue }
            shown.append(left)
            expected.append(Double(progress.totalBytes - progress.bytes) / 1e7)
        }
        #expect(shown.count > 380)
        for (left, truth) in zip(shown, expected).dropFirst(40) { #expect(abs(Double(left) - truth) < truth * 0.1 + 2) }
        for (one, next) in zip(shown, shown.dropFirst()).dropFirst(40) { #expect(abs(next - one) < 6) }
    }

    @Test func theRateFollowsTheNetworkAndAStall() throws {
        var progress = DownloadProgress(totalBytes: 1 << 40)
        #expect(progress.rate == nil && progress.secondsLeft == nil)
        var time = 0.0
        func run(_ seconds: Int, _ bytes: Int) -> Double {
            for _ in 0..<seconds {
                time += 1
                progress.add(bytes, at: time)
            }
            return progress.rate ?? 0
        }
        #expect(abs(run(60, 1_000_000) - 1_000_000) < 20_000)
        #expect(abs(run(60, 5_000_000) - 5_000_000) < 100_000)
        #expect(run(60, 0) < 100_000)
        let left = progress.bytes
        progress.skip(-left)
        #expect(progress.bytes == 0)
    }
}
