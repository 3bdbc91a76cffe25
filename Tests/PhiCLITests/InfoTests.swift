import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// `phi info` and `phi verify` with good files, and with one flipped bit among the weights.
@Suite struct InfoTests {
    @Test(arguments: Models.types) func printsJSON(_ type: String) throws {
        let path = try Models.path(type)
        let outcome = try Command.run("info", "-m", path, "--json")
        #expect(outcome.status == 0 && outcome.error.isEmpty)
        let info = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
        let numbers = [
            "hidden_size": 64, "intermediate_size": 128, "layers": 2, "heads": 4, "kv_heads": 4, "head_size": 16,
            "rotary_dimensions": 8, "context": 256, "vocabulary": 300, "end_of_text": 256,
            "bytes": try readFile(path).count,
        ]
        for (key, value) in numbers { #expect(info[key] as? Int == value, "\(key)") }
        // The padding of the vocabulary is not counted.
        let blocks = 2 * (4 * (64 * 64 + 64) + 2 * 64 * 128 + 128 + 64 + 2 * 64)
        #expect(info["parameters"] as? Int == 2 * 300 * 64 + 300 + 2 * 64 + blocks)
        #expect(info["ends_of_text"] as? [Int] == [256] && info["start_of_text"] as? Int == 256)
        #expect(info["type"] as? String == type)
        #expect(info["file"] as? String == path)
        #expect(info["format_version"] as? String == (type == "q3" ? "1.3" : "1.1"))
        #expect((info["header_sha256"] as? String)?.count == 64)
        #expect((info["tensors"] as? [Any])?.count == 17)
        let text = try #require(info["provenance"] as? String)
        let provenance = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let sources = try #require(provenance["sources"] as? [[String: Any]])
        #expect(
            Set(sources.compactMap { $0["name"] as? String }) == ["config.json", "tokenizer.json", "model.safetensors"])
        for source in sources {
            let name = try #require(source["name"] as? String)
            let bytes = try readFile(Models.checkpoint() + "/" + name)
            #expect(source["sha256"] as? String == bytes.withUnsafeBytes { SHA256Digest($0).description }, "\(name)")
        }
    }

    @Test func printsText() throws {
        let outcome = try Command.run("info", "-m", Models.path())
        #expect(outcome.status == 0)
        for word in ["2 layers", "hidden 64", "vocabulary 300", "block.1.out.weight", "q4"] {
            #expect(outcome.outputText.contains(word), "\(word)")
        }
    }

    @Test func provenanceIsOneLine() throws {
        let folder = try TemporaryFolder()
        let text = "\u{1B}]0;a title\u{7}\u{1B}[2J\nfile: another\u{202E}" + String(repeating: "x", count: 5000)
        _ = try TinyPhi.copy(
            of: TinyPhi().model(.q8), adding: [("provenance", Array(text.utf8))], to: folder.at("odd.phi"))
        let outcome = try Command.run("info", folder.at("odd.phi"))
        let line = try #require(outcome.outputText.split(separator: "\n").first { $0.hasPrefix("provenance: ") })
        #expect(outcome.status == 0 && line.contains("file: another") && line.count < 2100)
        #expect(!outcome.output.contains(0x1B) && !outcome.outputText.contains("\u{202E}"))
        struct Info: Decodable { let provenance: String }
        #expect(try Command.run("info", folder.at("odd.phi"), "--json").json(Info.self).provenance == text)
    }

    @Test func showsTheMachine() throws {
        let names = try Command.instructionSets()
        #expect(names.last == "reference")
        for name in names {
            let outcome = try Command.run("info", "--cpu", environment: ["PHI_ISA": name])
            #expect(outcome.status == 0 && outcome.outputText.contains("\(name) (used)"))
            #expect(outcome.outputText.contains("threads: "))
        }
        expectRefusal(try Command.run("info", "--cpu", environment: ["PHI_ISA": "abacus"]), "'abacus'")
    }

    @Test(arguments: Models.types) func verifiesSoundFiles(_ type: String) throws {
        let path = try Models.path(type)
        let outcome = try Command.run("verify", path)
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        #expect(outcome.outputText.hasPrefix("\(path): sound; 21 sections, sha256 of the header "))
        for name in try Command.instructionSets() {
            #expect(try Command.run("verify", path, environment: ["PHI_ISA": name]).status == 0, "\(name)")
        }
    }

    @Test func verifyNamesTheDamagedSection() throws {
        let folder = try TemporaryFolder()
        let path = folder.at("damaged.phi")
        let whole = try readFile(Models.path())
        for section in try PhiFile(MappedFile(path: Models.path())).sections {
            for offset in [section.offset, section.offset + section.length / 2, section.offset + section.length - 1] {
                var bytes = whole
                bytes[offset] ^= 0x10
                try folder.write("damaged.phi", bytes)
                let outcome = try Command.run("verify", path)
                expectRefusal(outcome, "section \(section.name) is damaged", "\(section.name) at \(offset)")
            }
        }
    }

    @Test func showsABarOnATerminal() throws {
        let outcome = try Command.start(["verify", Models.path()], terminal: true).wait()
        #expect(outcome.status == 0)
        #expect(outcome.errorText.contains("verify [") && outcome.errorText.hasSuffix("\r\u{1B}[K"))
    }
}
