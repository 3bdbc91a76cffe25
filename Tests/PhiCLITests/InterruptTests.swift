import Foundation
import PhiTestSupport
import Testing

/// Ctrl-C and other signals, and readers that go away.
@Suite struct InterruptTests {
    /// A tiny checkpoint whose file takes seconds to hash: phi has no use for the tensor of 4 GB of nothing.
    private func makeLongCheckpoint(in folder: TemporaryFolder) throws -> String {
        let tiny = TinyCheckpoint()
        let path = try tiny.write(to: folder)
        let end = tiny.tensors.reduce(0) { $0 + 4 * $1.tensor.floats.count }
        let places = "[\(end),\(end + (4 << 30))]"
        let entry = #","a.rotary_emb.inv_freq":{"dtype":"F32","shape":[1073741824],"data_offsets":\#(places)}}"#
        let bytes = tiny.safetensors { $0.dropLast() + entry }
        let file = try folder.write("checkpoint/model.safetensors", bytes)
        try #require(truncate(file, off_t(bytes.count + (4 << 30))) == 0)
        return path
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func conversionLeavesNothing(_ number: Int32) throws {
        let folder = try TemporaryFolder()
        try expectCleanEnd(of: SparseCheckpoint(hidden: 2048, layers: 8).write(to: folder), after: number, in: folder)
    }

    @Test func conversionLeavesNothingWhileItHashes() throws {
        let folder = try TemporaryFolder()
        try expectCleanEnd(of: makeLongCheckpoint(in: folder), after: SIGINT, in: folder)
    }

    /// Converts over an old file, and interrupts that as soon as the new one has been begun.
    private func expectCleanEnd(of checkpoint: String, after number: Int32, in folder: TemporaryFolder) throws {
        let output = try folder.write("model.phi", "precious")
        let program = try Command.start(["convert", checkpoint, "-o", output, "--force"])
        while !folder.names.contains(where: { $0.hasSuffix(".part") }), program.isRunning { usleep(1000) }
        usleep(50_000)
        #expect(program.isRunning, "the conversion ended before it could be interrupted")
        let start = ContinuousClock.now
        program.signal(number)
        let outcome = try program.wait()
        #expect(start.duration(to: .now) < .seconds(10))
        #expect(outcome.status == 128 + number)
        #expect(outcome.error.isEmpty && outcome.output.isEmpty)
        #expect(folder.names == ["checkpoint", "model.phi"])
        #expect(try readFile(output) == Array("precious".utf8))
    }

    @Test func completionEndsWithWhatItHas() throws {
        let program = try Command.start(["complete", "-m", Models.long(), "-n", "60000", "--no-echo", "def f(x):"])
        let first = program.read(200)
        #expect(program.isRunning)
        let start = ContinuousClock.now
        program.signal(SIGINT)
        let outcome = try program.wait()
        #expect(start.duration(to: .now) < .seconds(5))
        #expect(outcome.status == 130)
        #expect(outcome.output.starts(with: first) && outcome.output.last == UInt8(ascii: "\n"))
        #expect(outcome.errorText.hasPrefix("phi: prompt 9 tokens, ") && outcome.errorText.hasSuffix("; cancelled\n"))
        #expect(outcome.errorText.filter(\.isNewline).count == 1)
    }

    @Test func completionAsJSONIsWhole() throws {
        // Nothing shows when the text begins; a signal before that ends the program the hard way.
        var outcome: Outcome?
        for delay in [0.3, 1, 3, 9] {
            let program = try Command.start(["complete", "-m", Models.long(), "-n", "60000", "--json", "def f(x):"])
            usleep(UInt32(delay * 1e6))
            #expect(program.isRunning)
            program.signal(SIGINT)
            outcome = try program.wait()
            if outcome?.signal == 0 { break }
        }
        let result = try #require(outcome)
        #expect(result.status == 130)
        let object = try JSONSerialization.jsonObject(with: Data(result.output)) as? [String: Any]
        #expect(object?["stop_reason"] as? String == "cancelled")
    }

    @Test func waitingForInputEndsAtOnce() throws {
        // Somebody holds the pipe open and says nothing.
        let folder = try TemporaryFolder()
        let line = #"mkfifo "$2"; sleep 20 > "$2" 2> /dev/null & exec "$PHI" complete -m "$1" -n 1 - < "$2""#
        let program = try Command.startShell(line, [Models.path(), folder.at("pipe")])
        usleep(500_000)
        #expect(program.isRunning)
        program.signal(SIGINT)
        let outcome = try program.wait()
        #expect(outcome.signal == SIGINT)
        #expect(outcome.seconds < 10)
    }

    @Test func logitsLeaveNothing() throws {
        let folder = try TemporaryFolder()
        let ids = try folder.write("ids.json", "\(Array(repeating: 70, count: 40_000))")
        let output = folder.at("logits.npy")
        let program = try Command.start(["logits", "-m", Models.long(), "--ids", ids, "-o", output])
        while folder.names == ["ids.json"], program.isRunning { usleep(1000) }
        #expect(program.isRunning)
        program.signal(SIGINT)
        #expect(try program.wait().status == 130)
        #expect(folder.names == ["ids.json"])
    }

    @Test func streamsAsItIsMade() throws {
        let program = try Command.start(["complete", "-m", Models.long(), "-n", "60000", "def"])
        #expect(program.read(3).starts(with: "def".utf8))
        #expect(program.isRunning)
        #expect(program.read(100).count >= 100)
        #expect(program.isRunning)
        program.signal(SIGKILL)
        _ = try program.wait()
    }

    @Test func aReaderThatGoesAwayIsAQuietEnd() throws {
        let line = #"{ "$PHI" complete -m "$1" -n 60000 "def"; echo "status $?" >&2; } | head -c 1"#
        let outcome = try Command.shell(line, Models.long())
        #expect(outcome.outputText == "d")
        #expect(outcome.errorText == "status 141\n")
        #expect(outcome.seconds < 20)
        for command in ["info -m $1", "info --json -m $1", "info --cpu", "tokenize -m $1", "tokenize --ids -m $1"] {
            let line = "{ sleep 0.1; \"$PHI\" \(command); echo \"status $?\" >&2; } | true"
            #expect(try Command.shell(line, Models.path(), input: Array("text".utf8)).errorText == "status 141\n")
        }
    }
}
