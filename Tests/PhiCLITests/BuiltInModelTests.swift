import Foundation
import PhiTestSupport
import Testing

/// Whether the built-in model is in this checkout, which can be built and tested without it.
private let hasBuiltInModel: Bool = {
    let path = repositoryFile("Sources/CPhiModel/small.phi")
    return ((try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0) > 0
}()

/// The built-in model: what `phi` does without `-m`.
@Suite(.enabled(if: hasBuiltInModel, "Sources/CPhiModel/small.phi is empty"))
struct BuiltInModelTests {
    @Test func completes() throws {
        let outcome = try Command.run("complete", "def f(x):", "-n", "32")
        #expect(outcome.status == 0, "\(outcome.errorText)")
        #expect(outcome.outputText.hasPrefix("def f(x):"))
        #expect(outcome.outputText.count > "def f(x):\n".count + 8)
        #expect(!outcome.outputText.contains("\u{FFFD}"))
        #expect(outcome.errorText.hasPrefix("phi: prompt "))
        let again = try Command.run(
            "complete", "def f(x):", "-n", "32", "--threads", "1", environment: ["PHI_ISA": "reference"])
        #expect(again.output == outcome.output)
    }

    @Test func isSound() throws {
        let outcome = try Command.run("verify")
        #expect(outcome.status == 0, "\(outcome.errorText)")
        #expect(outcome.outputText.hasPrefix("built-in model: sound; "))
    }

    @Test func describesItself() throws {
        let outcome = try Command.run("info", "--json")
        #expect(outcome.status == 0, "\(outcome.errorText)")
        let info = try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any]
        #expect(info?["file"] as? String == "built-in model")
        #expect((info?["layers"] as? Int ?? 0) > 0)
        #expect(try Command.run("info").outputText.contains("built-in model"))
    }

    @Test func tokenizes() throws {
        let text = "def f(x):\n    return x\n"
        let ids = try Command.run("tokenize", "--ids", input: Array(text.utf8))
        #expect(ids.status == 0)
        #expect(try Command.run("tokenize", "--decode", input: ids.output).outputText == text)
    }
}
