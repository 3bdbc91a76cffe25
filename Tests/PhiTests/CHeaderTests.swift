import Foundation
import Phi
import Testing

/// phi.h, its implementation and the Python package against the constants of the library that they state once more.
struct CHeaderTests {
    private func text(_ file: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent(file), encoding: .utf8)
    }

    @Test(arguments: ["Sources/CPhi/include/phi.h", "Sources/PhiCAPI/Generation.swift", "Tools/python/phi/_session.py"])
    func haveEverySamplingParameter(_ file: String) throws {
        let text = try text(file)
        for parameter in SamplingParameter.all { #expect(text.contains(parameter.fieldName), "\(parameter.name)") }
    }

    @Test
    func stateTheBatch() throws {
        #expect(try text("Sources/CPhi/include/phi.h").contains("#define PHI_BATCH_TOKENS \(Engine.batchTokens)\n"))
    }
}
