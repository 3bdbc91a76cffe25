import CoreMetrics
import Foundation
import Logging
import PhiServer
import Synchronization
import Testing

struct PrometheusRegistryTests {
    @Test func writesPrometheusText() {
        let registry = PrometheusRegistry()
        registry.describe("b_total", "The help of b.")
        Counter(label: "b_total", dimensions: [("path", "/\"x\"\n"), ("status", "200")], factory: registry).increment(
            by: 2)
        Counter(label: "b_total", dimensions: [("path", "/\"x\"\n"), ("status", "200")], factory: registry).increment()
        Meter(label: "a", dimensions: [], factory: registry).set(2.5)
        let timer = CoreMetrics.Timer(label: "t", dimensions: [("k", "v")], factory: registry)
        timer.recordMilliseconds(2)
        timer.recordMilliseconds(2000)
        timer.recordSeconds(1000)
        let lines = registry.text.split(separator: "\n").map(String.init)
        #expect(
            lines[0...4] == [
                "# TYPE a gauge", "a 2.5", "# HELP b_total The help of b.", "# TYPE b_total counter",
                #"b_total{path="/\"x\"\n",status="200"} 3"#,
            ])
        #expect(lines[5] == "# TYPE t_seconds histogram")
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.001"} 0"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.0025"} 1"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="2.5"} 2"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="+Inf"} 3"#))
        #expect(
            lines.contains(#"t_seconds_count{k="v"} 3"#)
                && lines.contains { $0.hasPrefix(#"t_seconds_sum{k="v"} 1002.002"#) })
    }
}

private final class Lines: Sendable {
    private let all = Mutex("")
    var text: String { all.withLock { $0 } }
    func append(_ line: String) { all.withLock { $0 += line } }
}

struct LineLogTests {
    private func line(_ format: LogFormat, _ message: Logger.Message, _ metadata: Logger.Metadata) -> String {
        let lines = Lines()
        var logger = Logger(label: "test") { _ in
            LineLog(format, now: { Date(timeIntervalSince1970: 0.125) }, write: { lines.append($0) })
        }
        logger[metadataKey: "own"] = "o"
        logger.debug("dropped")
        logger.info(message, metadata: metadata)
        return lines.text
    }

    @Test func entriesAreOneLine() {
        let text = line(.text, "one\ntwo", ["k": "a b", "q": "x\"\n", "n": .stringConvertible(5)])
        #expect(text == #"1970-01-01T00:00:00.125Z info one two [k="a b" n=5 own=o q="x\"\n"]"# + "\n")
        let json = line(
            .json, "one\n",
            [
                "n": .stringConvertible(5), "d": .stringConvertible(0.5), "s": "\u{7}\u{2028}", "l": .array(["a"]),
            ])
        #expect(
            json == #"{"time":"1970-01-01T00:00:00.125Z","level":"info","message":"one\n","d":0.5,"l":["a"],"#
                + #""n":5,"own":"o","s":"\u0007\u2028"}"# + "\n")
    }
}

struct APIKeysTests {
    @Test func onlyWholeKeysPass() throws {
        #expect(try APIKeys([]).check(nil) == nil)
        #expect(try APIKeys([]).check("Bearer x") == nil)
        let keys = APIKeys(["abc", "de"])
        let found = try ["Bearer abc", "bearer abc", "bearer de"].map { try keys.check($0) }
        #expect(found[0] != nil && found[0] == found[1] && found[2] != nil && found[0] != found[2])
        for header in [nil, "", "Bearer", "Bearer ", "Bearer ab", "Bearer abcd", "Bearer ABC", "Basic abc", "abc"] {
            #expect(throws: APIError.self, "\(header ?? "none")") { try keys.check(header) }
        }
    }
}
