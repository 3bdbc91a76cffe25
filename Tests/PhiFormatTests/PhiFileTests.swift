import CPhiKernels
import Foundation
import Phi
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// The sample files of the specification: `Formats/good` must be read, `Formats/refused` must be refused.
struct PhiFileTests {
    static let formats = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Formats")

    static func samples(_ folder: String) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: formats.appending(path: folder).path)
        return (names ?? []).filter { $0.hasSuffix(".phi") }.sorted()
    }

    static func path(_ folder: String, _ name: String) -> String { formats.appending(path: "\(folder)/\(name)").path }

    @Test
    func thereAreSamples() {
        #expect(Self.samples("good").count >= 11)
        #expect(Self.samples("refused").count >= 120)
    }

    @Test(arguments: samples("good"))
    func goodFilesRun(_ name: String) throws {
        let model = try LanguageModel(contentsOf: Self.path("good", name))
        try model.file.verify()
        try model.verifyWeights()
        try model.verifyProvenance()
        try model.verifyTests()
        let session = try Session(model, threads: 1)
        let made = try session.complete("the", GenerationOptions(maximumTokens: 8))
        #expect(made.tokens.count == 8 || made.stopReason == .endOfText)
        #expect(session.withLogits { $0.allSatisfy(\.isFinite) } == true)
    }

    /// Against the hashes of an independent reader in Python.
    @Test(arguments: samples("good"))
    func tensorsAreThoseOfTheSecondReader(_ name: String) throws {
        let file = try PhiFile(MappedFile(path: Self.path("good", name)))
        let listing = Self.path("good", name.replacingOccurrences(of: ".phi", with: ".tensors.txt"))
        let truth = try String(contentsOfFile: listing, encoding: .utf8).split(separator: "\n").map(String.init)
        let found = file.sections.compactMap { section -> String? in
            guard let encoding = section.encoding else { return nil }
            let values = Self.values(of: section, encoding, in: file)
            let digest = values.withUnsafeBytes { SHA256Digest($0) }
            return "\(section.name) \(section.rows) \(section.columns) \(digest)"
        }
        #expect(found == truth)
    }

    private static func values(of section: Section, _ encoding: TensorEncoding, in file: PhiFile) -> [Float] {
        let bytes = file.bytes(of: section)
        if encoding == .vector { return Array(bytes.bindMemory(to: Float.self)) }
        var row = [Float](repeating: .nan, count: section.columns)
        return (0..<section.rows).flatMap { number in
            phi_row(bytes.baseAddress, encoding.rawValue, number, section.columns, &row)
            return row
        }
    }

    @Test(arguments: samples("refused"))
    func refusedFilesAreRefused(_ name: String) throws {
        let path = Self.path("refused", name)
        func expectRefusal(_ body: () throws -> Void) {
            do {
                try body()
                Issue.record("\(name) is not refused")
            } catch let error as FormatError {
                #expect(error.file == path)
                #expect(!error.fault.isEmpty && !error.description.contains("\n"))
            } catch {
                Issue.record("\(name) is refused with \(error)")
            }
        }
        if name.hasPrefix("verify-") {
            let model = try LanguageModel(contentsOf: path)
            expectRefusal {
                try model.file.verify()
                try model.verifyWeights()
                try model.verifyProvenance()
                try model.verifyTests()
            }
        } else {
            expectRefusal { _ = try LanguageModel(contentsOf: path) }
        }
    }

    /// Opens `bytes` as a file that is nowhere, and as a model.
    private func open(_ bytes: [UInt8]) throws {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 64)
        defer { memory.deallocate() }
        memory.copyBytes(from: bytes)
        let part = UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
        let mapping = MappedFile(permanent: part, name: "changed.phi")
        _ = try LanguageModel(PhiFile(mapping))
    }

    private func good() throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: Self.path("good", "q4.phi"))))
    }

    /// The q8 and q4 of version 1.0.
    @Test(arguments: [18, 19] as [UInt8])
    func retiredEncodingsAreRefusedWithAdvice(_ number: UInt8) throws {
        var bytes = try good()
        let header = 128 * (1 + Int(bytes[32]))
        let record = 128 * 3  // config, tokenizer, embedding
        bytes[record + 52] = number
        bytes.replaceSubrange(96..<128, with: repeatElement(0, count: 32))
        bytes.replaceSubrange(96..<128, with: bytes[..<header].withUnsafeBytes { SHA256Digest($0).bytes })
        let fault = "embedding.weight has encoding \(number), which is no longer read: convert the checkpoint again"
        #expect(throws: FormatError("changed.phi", fault)) { try open(bytes) }
    }

    @Test
    func everyFlippedByteOfTheHeaderIsFound() throws {
        let bytes = try good()
        try open(bytes)
        let header = 128 * (1 + Int(bytes[32]))
        for place in 0..<header {
            for flip in [0x01, 0x80, 0xff] as [UInt8] {
                var changed = bytes
                changed[place] ^= flip
                #expect(throws: FormatError.self, "byte \(place) ^ \(flip)") { try open(changed) }
            }
        }
    }

    @Test
    func everyTruncationIsFound() throws {
        let bytes = try good()
        let header = 128 * (1 + Int(bytes[32]))
        for count in Array(1...header) + stride(from: header + 1, to: bytes.count, by: 61) + [bytes.count - 1] {
            #expect(throws: FormatError.self, "\(count) bytes") { try open(Array(bytes[..<count])) }
        }
        #expect(throws: FormatError.self) { try open(bytes + [0]) }
    }

    /// Contents that the header's hash does not cover: whatever they say, opening ends in a model or a refusal.
    @Test
    func flippedBytesOfContentsNeverCrash() throws {
        let bytes = try good()
        let file = try PhiFile(MappedFile(path: Self.path("good", "q4.phi")))
        for section in file.sections where section.encodingNumber == 0 {
            for place in section.offset..<section.offset + section.length {
                for flip in [0x01, 0xff] as [UInt8] {
                    var changed = bytes
                    changed[place] ^= flip
                    do { try open(changed) } catch is FormatError {}
                }
            }
        }
    }
}
