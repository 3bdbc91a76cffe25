import PhiCheckpoint
import Testing

struct ModulePatternTests {
    private static let names = [
        "model.layers.0.self_attn.q_proj", "model.layers.11.mlp.fc1", "lm_head", "model.embed_tokens",
        "transformer.h.3.mixer.Wqkv",
    ]

    /// Patterns, and the names that Python's `re.match` finds by them as peft asks it.
    private static let cases: [(pattern: String, matches: [Int])] = [
        (#"q_proj"#, [0]),
        (#"layers.0.self_attn.q_proj"#, [0]),
        (#"layers\.0\..*"#, [0]),
        (#"layers\.\d+\.mlp\.fc[12]"#, [1]),
        (#"(?:q|k|v)_proj|fc1"#, [0, 1]),
        (#".*"#, [0, 1, 2, 3, 4]),
        (#"fc"#, []),
        (#"^model.*"#, [0, 1, 3]),
        (#"^q_proj$"#, []),
        (#"layers\.(0|11)\.\w+\.\w+"#, [0, 1]),
        (#"[^.]+"#, [0, 1, 2, 3, 4]),
        (#"\w{2}_head"#, [2]),
        (#"h\.[0-3]\.mixer\.W.{2,3}"#, [4]),
        (#"(.*\.)?fc1"#, [1]),
        (#"(a*)*b"#, []),
        (#""#, []),
        (#"[a-z_]+"#, [0, 2, 3]),
        (#".+?proj"#, [0]),
        (#"layers\.[^01].*"#, []),
        (#"e\w*_tokens?"#, [3]),
        (#"q_proj|"#, [0]),
        (#"(q_){1}proj"#, [0]),
        (#"[\w.]*fc\d"#, [1]),
        (#"f(c|d)+1"#, [1]),
        (#"x{0}fc1"#, [1]),
        (#"[]q_proj]+$"#, [0]),
        (#"m{,2}lm_head"#, [2]),
        (#"\S+\.fc1"#, [1]),
        (#"[^\W\d]+"#, [0, 2, 3, 4]),
    ]

    @Test(arguments: cases) func matchesAsPythonDoes(_ text: String, _ expected: [Int]) throws {
        let pattern = try #require(ModulePattern(text))
        var steps = 1 << 20
        let found = Self.names.indices.filter { pattern.matches(Self.names[$0], stepsLeft: &steps) }
        #expect(found == expected)
    }

    @Test(arguments: [
        "(", ")", "[a", "a**", "*", "a{2,1}", "a{x}", "a{", "a{1001}", "\\", "\\1", "\\b", "(?=a)", "(?i)a", "[b-a]",
        "(((a{1000}){1000}){1000}){1000}", "((((){1000}){1000}){1000}){1000}", String(repeating: "(", count: 100_000),
        String(repeating: "a", count: 5000),
    ])
    func refuses(_ text: String) { #expect(ModulePattern(text) == nil) }

    /// A backtracking matcher takes longer than anybody waits.
    @Test func takesFewSteps() throws {
        for text in ["(a*)*b", "(a|a)*b", "(a|aa)+$", "(.*)*.*\\.*x", "(a?){64}a{64}"] {
            let pattern = try #require(ModulePattern(text))
            var steps = 1 << 20
            #expect(!pattern.matches(String(repeating: "a", count: 1000) + "c", stepsLeft: &steps))
            #expect(steps > 0, "\(text)")
        }
    }
}
