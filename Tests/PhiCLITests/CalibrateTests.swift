import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// `phi convert --calibrate`.
@Suite struct CalibrateTests {
    private struct Info: Decodable { let provenance: String }

    private struct Provenance: Decodable {
        struct Calibration: Decodable {
            let text: String
            let sha256: String
            let tokens: Int
        }
        let method: String
        let calibration: Calibration?
    }

    private func provenance(_ path: String) throws -> Provenance {
        let text = try Command.run("info", "-m", path, "--json").json(Info.self).provenance
        return try JSONDecoder().decode(Provenance.self, from: Data(text.utf8))
    }

    /// Text of more than 1024 tokens for a tokenizer that knows a few merges.
    private static let text = (0..<400).map { "def f\($0)(x): return x * \($0 % 17) + \($0 % 5)\n" }.joined()

    private func convert(
        _ shop: Workshop, _ calibrate: String, _ options: String..., environment: [String: String] = [:]
    ) throws -> Outcome {
        try Command.run(
            ["convert", shop.checkpoint, "-o", shop.output, "--force", "--calibrate", calibrate] + options,
            environment: environment)
    }

    @Test func givesTheSameBytesAlways() throws {
        let shop = try Workshop()
        let text = try shop.folder.write("text.py", Self.text)
        #expect(try convert(shop, text, "--threads", "1").status == 0)
        let expected = try readFile(shop.output)
        #expect(try convert(shop, text, "--threads", "3").status == 0)
        #expect(try readFile(shop.output) == expected)
        for name in try Command.instructionSets() {
            #expect(try convert(shop, text, environment: ["PHI_ISA": name]).status == 0)
            #expect(try readFile(shop.output) == expected, "\(name)")
        }
        #expect(try Command.run("verify", shop.output).status == 0)
        #expect(try Command.run("convert", shop.checkpoint, "-o", shop.output, "--force").status == 0)
        #expect(try readFile(shop.output) != expected)
    }

    @Test func recordsWhatItDid() throws {
        let shop = try Workshop()
        #expect(try convert(shop, "builtin").status == 0)
        let builtIn = try provenance(shop.output)
        #expect(builtIn.method.contains("GPTAQ"))
        #expect(builtIn.calibration?.text == "builtin" && builtIn.calibration?.tokens == 8192)
        let text = try shop.folder.write("text.py", Self.text)
        #expect(try convert(shop, text).status == 0)
        let own = try provenance(shop.output)
        #expect(own.calibration?.text == "text.py" && own.calibration?.sha256.count == 64)
        #expect((1024...8192).contains(own.calibration?.tokens ?? 0))
        #expect(try convert(shop, "none").status == 0)
        let plain = try provenance(shop.output)
        #expect(plain.calibration == nil && plain.method.contains("random tokens"))
    }

    /// A long text calibrates by sequences from all of it: its end matters as its beginning does.
    @Test func spreadsOverALongText() throws {
        let shop = try Workshop()
        let other = String(repeating: "class A: pass\n", count: 12_000)
        let long = String(repeating: Self.text, count: 12)
        func converted(_ text: String) throws -> [UInt8] {
            #expect(try convert(shop, shop.folder.write("text.py", text), "--type", "q4").status == 0)
            #expect(try provenance(shop.output).calibration?.tokens == 8192)
            return try PhiFile(MappedFile(path: shop.output)).sections.filter { $0.encoding != nil }.flatMap {
                Array("\($0.digest)".utf8)
            }
        }
        #expect(try converted(long + other) != converted(long + long))
    }

    @Test func refusesTextsThatAreOfNoUse() throws {
        let shop = try Workshop()
        let short = try shop.folder.write("short.py", "x = 1\n")
        let binary = try shop.folder.write("binary", [UInt8](repeating: 0xFF, count: 100_000))
        for (path, fault) in [
            (shop.folder.at("missing"), "no such file"), (short, "a calibration needs 1024"), (binary, "UTF-8"),
            (shop.folder.path, "is a directory"),
        ] {
            let outcome = try convert(shop, path)
            expectRefusal(outcome, path)
            #expect(outcome.errorText.contains(fault), "\(outcome.errorText)")
        }
        #expect(shop.folder.names == ["binary", "checkpoint", "short.py"])
    }

    @Test func isForIntegers() throws {
        let shop = try Workshop()
        for type in ["f16", "f32"] { #expect(try convert(shop, "builtin", "--type", type).status == 64) }
        #expect(shop.folder.names == ["checkpoint"])
        #expect(try convert(shop, "builtin", "--type", "q8").status == 0)
        let careful = try readFile(shop.output)
        #expect(try provenance(shop.output).calibration?.text == "builtin")
        #expect(try Command.run("verify", shop.output).status == 0)
        #expect(try convert(shop, "none", "--type", "q8").status == 0)
        #expect(try provenance(shop.output).calibration == nil)
        #expect(try readFile(shop.output) != careful)
    }

    @Test(arguments: ["q3", "q4", "q8"]) func isDoneByDefault(_ type: String) throws {
        let shop = try Workshop()
        #expect(try convert(shop, "builtin", "--type", type).status == 0)
        let expected = try readFile(shop.output)
        #expect(
            try Command.run("convert", shop.checkpoint, "-o", shop.output, "--force", "--type", type).status == 0)
        #expect(try readFile(shop.output) == expected)
        #expect(try convert(shop, "none", "--type", type).status == 0)
        #expect(try readFile(shop.output) != expected)
    }
}
