import ArgumentParser
import Phi
import PhiConvert
import PhiFormat
import PhiCommandSupport

/// `phi verify`
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a .phi file: hashes, weights and embedded tests.")

    @OptionGroup var model: ModelOrPath

    func run() throws {
        let file = try model.openFile()
        try withProgress("verify") { progress in
            try file.verify { _ = progress(Double($0) / Double(file.mapping.count)) }
            let model = try LanguageModel(file)
            try model.verifyWeights()
            try model.verifyProvenance()
            try model.verifyTests()
        }
        try Console.writeLine(
            "\(file.path): sound; \(file.sections.count) sections, sha256 of the header \(file.digest)")
    }
}
