import Foundation
import PhiFormat
import PhiTestSupport
import Testing

extension TemporaryFolder {
    fileprivate var file: String { at("a.phi") }
    fileprivate func bytes() throws -> [UInt8] { try readFile(file) }
}

struct PhiFileWriterTests {
    private let tiles = [UInt8](repeating: 7, count: (32 + 544) * 2)
    private let large = (0..<(1 << 20) + 5).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    private func filled(_ folder: TemporaryFolder, overwrite: Bool = false) throws -> PhiFileWriter {
        let writer = try PhiFileWriter(path: folder.file, sectionCount: 4, overwrite: overwrite)
        try writer.write("config", required: true, bytes: [1, 2, 3])
        try writer.write("large", required: false, bytes: large)
        try writer.write("bias", vector: [1, -0.5, .pi])
        try writer.begin("weight", encoding: .q4, rows: 17, columns: 64)
        try tiles.withUnsafeBytes { bytes in
            try writer.append(UnsafeRawBufferPointer(rebasing: bytes[..<100]))
            try writer.append(UnsafeRawBufferPointer(rebasing: bytes[100...]))
        }
        try writer.end()
        return writer
    }

    @Test
    func whatIsWrittenIsRead() throws {
        let folder = try TemporaryFolder()
        try filled(folder).commit()
        #expect(folder.names == ["a.phi"])
        let file = try PhiFile(MappedFile(path: folder.file))
        try file.verify()
        #expect(file.version == (1, 1))
        #expect(file.sections.map(\.name) == ["config", "large", "bias", "weight"])
        #expect(file.sections.map(\.isRequired) == [true, false, true, true])
        #expect(file.sections.map(\.alignment) == [64, 65_536, 64, 64])
        let config = try #require(file.section("config"))
        #expect(config.offset == 128 * 5 && Array(file.bytes(of: config)) == [1, 2, 3])
        #expect(Array(file.bytes(of: try #require(file.section("large")))) == large)
        let bias = try #require(file.section("bias"))
        #expect(bias.encoding == .vector && bias.rows == 3 && bias.columns == 1)
        #expect(Array(file.bytes(of: bias).bindMemory(to: Float.self)) == [1, -0.5, .pi])
        let weight = try #require(file.section("weight"))
        #expect(weight.encoding == .q4 && weight.rows == 17 && weight.columns == 64)
        #expect(Array(file.bytes(of: weight)) == tiles)
        #expect(file.section("other") == nil)
    }

    @Test
    func theSameInputGivesTheSameBytes() throws {
        let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
        try filled(first).commit()
        try filled(second).commit()
        #expect(try first.bytes() == second.bytes())
    }

    @Test
    func anAbandonedFileIsGone() throws {
        let folder = try TemporaryFolder()
        do {
            let writer = try filled(folder)
            let temporary = folder.path + "/" + (try #require(folder.names.first))
            #expect(folder.names.count == 1 && temporary != writer.path)
            #expect(throws: FormatError.self) { try PhiFile(MappedFile(path: temporary)) }
        }
        #expect(folder.names.isEmpty)
    }

    @Test
    func nothingIsReplacedWithoutPermission() throws {
        let folder = try TemporaryFolder()
        try "mine".write(toFile: folder.file, atomically: true, encoding: .utf8)
        #expect(throws: FormatError.self) { try filled(folder) }
        #expect(try folder.bytes() == Array("mine".utf8))
        // With permission the old file stays until the new one is whole.
        let writer = try filled(folder, overwrite: true)
        #expect(try folder.bytes() == Array("mine".utf8))
        try writer.commit()
        try PhiFile(MappedFile(path: folder.file)).verify()
        #expect(throws: FormatError(folder.path, "is a directory")) {
            try PhiFileWriter(path: folder.path, sectionCount: 1, overwrite: true)
        }
        #expect(throws: FormatError.self) {
            try PhiFileWriter(path: folder.path + "/missing/a.phi", sectionCount: 1, overwrite: true)
        }
    }

    @Test
    func sectionsCanBeTriedAndReplaced() throws {
        let folder = try TemporaryFolder()
        let writer = try filled(folder)
        let before = try writer.preview()
        try before.verify()
        #expect(throws: FormatError.self) { try writer.replace("config", bytes: [1, 2]) }
        #expect(throws: FormatError.self) { try writer.replace("other", bytes: [1, 2, 3]) }
        try writer.replace("config", bytes: [9, 8, 7])
        try writer.commit()
        let file = try PhiFile(MappedFile(path: folder.file))
        try file.verify()
        #expect(Array(file.bytes(of: try #require(file.section("config")))) == [9, 8, 7])
    }

    @Test
    func sectionsOfAnotherLengthOrNumberAreRefused() throws {
        let folder = try TemporaryFolder()
        let writer = try PhiFileWriter(path: folder.file, sectionCount: 2, overwrite: false)
        for name in ["", "Upper", "a/b", "é", String(repeating: "a", count: 48)] {
            #expect(throws: FormatError.self) { try writer.write(name, required: true, bytes: [1]) }
        }
        #expect(throws: FormatError.self) { try writer.write("empty", required: true, bytes: []) }
        try writer.write("one", required: true, bytes: [1])
        #expect(throws: FormatError.self) { try writer.commit() }
        try writer.begin("two", encoding: .f32, rows: 1, columns: 1)
        #expect(throws: FormatError.self) { try writer.end() }
    }
}
