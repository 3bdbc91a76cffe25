import Foundation
import PhiTestSupport
import Testing

/// `phi logits`
@Suite struct LogitsTests {
    private static let ids = "[70, 71, 256, 299, 0, 5, 5, 5]"

    private func logits(_ folder: TemporaryFolder, _ ids: String, _ options: String...) throws -> Outcome {
        let path = try folder.write("ids.json", ids)
        return try Command.run(
            ["logits", "-m", Models.path(), "--ids", path, "-o", folder.at("logits.npy")] + options)
    }

    @Test func writesANumPyFile() throws {
        let folder = try TemporaryFolder()
        let outcome = try logits(folder, Self.ids)
        #expect(outcome.status == 0 && outcome.output.isEmpty, "\(outcome.errorText)")
        let file = try readFile(folder.at("logits.npy"))
        #expect(file.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
        let size = Int(file[8]) | Int(file[9]) << 8
        #expect((10 + size) % 64 == 0)
        let header = String(decoding: file[10..<10 + size], as: UTF8.self)
        #expect(header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': (8, 300), }"))
        #expect(header.hasSuffix(" \n"))
        #expect(file.count == 10 + size + 8 * 300 * 4)
        #expect(folder.names == ["ids.json", "logits.npy"])
        // The row after the last token chooses what complete chooses.
        let last = file.suffix(300 * 4)
        let values = stride(from: last.startIndex, to: last.endIndex, by: 4).map { place in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(last[place + $1]) << (8 * UInt32($1)) })
        }
        #expect(values.allSatisfy { $0.isFinite })
        let prompt = try Command.run("tokenize", "-m", Models.path(), "--decode", input: Array(Self.ids.utf8)).output
        let result = try Command.run("complete", "-m", Models.path(), "--json", "-n", "1", "-", input: prompt)
            .json(Completed.self)
        if result.prompt_ids == [70, 71, 256, 299, 0, 5, 5, 5] {
            #expect(values.indices.max { values[$0] < values[$1] } == result.ids.first)
        }
    }

    @Test(arguments: Models.types) func isTheSameByEveryWay(_ type: String) throws {
        let folder = try TemporaryFolder()
        // More than a batch of the forward pass takes.
        let ids = (0..<250).map { $0 * 7 % 300 }
        let path = try folder.write("ids.json", "\(ids)")
        func bytes(_ options: [String], _ environment: [String: String] = [:]) throws -> [UInt8] {
            let output = folder.at("logits.npy")
            let outcome = try Command.run(
                ["logits", "-m", Models.path(type), "--ids", path, "-o", output] + options, environment: environment)
            #expect(outcome.status == 0, "\(outcome.errorText)")
            return try readFile(output)
        }
        let expected = try bytes([])
        #expect(expected.count > 250 * 300 * 4)
        #expect(try bytes(["--one-by-one"]) == expected)
        for threads in 1...3 { #expect(try bytes(["--threads", "\(threads)"]) == expected, "\(threads) threads") }
        for name in try Command.instructionSets() { #expect(try bytes([], ["PHI_ISA": name]) == expected, "\(name)") }
    }

    @Test(arguments: ["", "[", "{}", "[1.5]", "[\"a\"]", "[99999999999]", String(repeating: "[", count: 10_000)])
    func refusesJSONThatIsNoArrayOfIDs(_ text: String) throws {
        let folder = try TemporaryFolder()
        expectRefusal(try logits(folder, text), "ids.json: is not a JSON array of token ids")
        #expect(folder.names == ["ids.json"])
    }

    @Test func refusesIDsThatDoNotFit() throws {
        let folder = try TemporaryFolder()
        for options in [[], ["--one-by-one"]] {
            for ids in ["[300]", "[-1]", "[1, 2, 319]"] {
                let path = try folder.write("ids.json", ids)
                let outcome = try Command.run(
                    ["logits", "-m", Models.path(), "--ids", path, "-o", folder.at("logits.npy")] + options)
                expectRefusal(outcome, "ids.json: ", "\(ids)")
                #expect(outcome.errorText.contains("is not a token"), "\(ids)")
            }
        }
        expectRefusal(try logits(folder, "\(Array(repeating: 1, count: 257))"), "ids.json: 257 tokens")
        expectRefusal(try logits(folder, "[1, 2, 3]", "--context", "2"), "ids.json: 3 tokens")
        #expect(folder.names == ["ids.json"])
    }

    @Test func takesNoTokensAtAll() throws {
        let folder = try TemporaryFolder()
        #expect(try logits(folder, "[]").status == 0)
        #expect(String(decoding: try readFile(folder.at("logits.npy")), as: UTF8.self).contains("(0, 300)"))
    }

    @Test func refusesPlacesThatCannotBeWritten() throws {
        let folder = try TemporaryFolder()
        let ids = try folder.write("ids.json", Self.ids)
        for output in [folder.path, folder.at("missing/logits.npy"), "/dev/null"] {
            let outcome = try Command.run("logits", "-m", Models.path(), "--ids", ids, "-o", output)
            expectRefusal(outcome, output + ": ")
        }
        expectRefusal(
            try Command.run("logits", "-m", Models.path(), "--ids", folder.at("none.json"), "-o", folder.at("x.npy")),
            "none.json: no such file")
        #expect(folder.names == ["ids.json"])
    }
}
