import PhiEval
import PhiFormat
import PhiTestSupport
import Testing

/// A samples file that is resumed.
struct SampleFileTests {
    private func line(_ run: String, _ number: Int) -> String {
        #"{"completion":"x","run":"\#(run)","sample":\#(number),"task_id":"a"}"#
    }

    /// Opens a file with this text; returns the number of its samples and what it holds then.
    private func open(_ text: String) throws -> (samples: Int, text: String) {
        let folder = try TemporaryFolder()
        let path = try folder.write("samples.jsonl", text)
        let count = try SampleFile(FilePath(path), run: "r").samples.count
        return (count, String(decoding: try readFile(path), as: UTF8.self))
    }

    @Test func anInterruptedLineIsRemovedAndAWholeOneKept() throws {
        let first = line("r", 0) + "\n"
        let second = line("r", 1)
        for length in 1..<second.utf8.count { #expect(try open(first + second.prefix(length)) == (1, first)) }
        #expect(try open(first + second) == (2, first + second + "\n"))
        #expect(try open(second) == (1, second + "\n"))
    }

    @Test func linesOfOthersAreNeitherReadNorRemoved() throws {
        let folder = try TemporaryFolder()
        for text in [
            line("r", 0) + "\n" + line("other", 1), #"{"completion":"x","task_id":"a"}"#, "{}", "precious",
            line("other", 1) + "\n",
        ] {
            let path = FilePath(try folder.write("samples.jsonl", text))
            #expect(throws: FormatError.self, "\(text)") { try SampleFile(path, run: "r") }
            #expect(try readFile(path.description) == Array(text.utf8))
        }
    }

    @Test func aSampleStandsThereOnce() throws {
        let error = #expect(throws: FormatError.self) { try open(line("r", 0) + "\n\n" + line("r", 0) + "\n") }
        #expect(error?.description.hasSuffix("samples.jsonl: line 3: has sample 0 of a again") == true)
    }
}
