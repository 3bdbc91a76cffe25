import CoreMetrics
import Foundation
import Logging
import PhiFormat
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
                "n": .stringConvertible(5), "d": .stringConvertible(0.5), "s": "\u{7}\u{2028}\u{9B}\u{202E}",
                "l": .array(["a"]),
            ])
        #expect(
            json == #"{"time":"1970-01-01T00:00:00.125Z","level":"info","message":"one\n","d":0.5,"l":["a"],"#
                + #""n":5,"own":"o","s":"\u0007\u2028\u009b\u202e"}"# + "\n")
    }
}

struct OriginTests {
    @Test func originsAreWrittenAsBrowsersDo() {
        let same = ["*", "null", "https://a.b", "http://a:8", "http://[::1]:30", "http://[::80]", "https://a.b:84"]
        for text in same { #expect(Origin.normalised(text) == text) }
        let others = [
            "https://Example.com/": "https://example.com", "HTTPS://example.com:443": "https://example.com",
            "http://a:80": "http://a", "http://a:443": "http://a:443",
        ]
        for (text, expected) in others { #expect(Origin.normalised(text) == expected) }
        for text in ["", "nonsense", "example.com", "https://", "https://a/b", "https://a b", "://a", "1://a"] {
            #expect(Origin.normalised(text) == nil, "\(text)")
        }
        for text in ["a.example", "a_b-1"] { #expect(HostName.isValid(text)) }
        for text in ["http://a", "a:80", ""] { #expect(!HostName.isValid(text)) }
    }
}

struct APIKeysTests {
    @Test func keysAreWholeLines() throws {
        func keys(_ text: String) throws -> [String] {
            try APIKeyFile.keys(Array(text.utf8), of: "keys", hasComments: true)
        }
        #expect(try keys("# mine\n a#b \r\n\n\tc\n") == ["a#b", "c"])
        let error = try #require(throws: FormatError.self) { try keys("a\nb # of b\n") }
        #expect("\(error)".contains("line 2 has a key") && "\(error)".contains("comments have lines of their own"))
    }

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
