import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct TorchArchiveTests {
    /// `OrderedDict(w = 2 x 3 floats of storage "0")`, as torch.save writes it, with pieces that tests replace.
    static func pickle(
        rebuild: String = "ctorch._utils\n_rebuild_tensor_v2\n", type: String = "FloatStorage", count: UInt8 = 6,
        offset: [UInt8] = [0x4B, 0], shape: [UInt8] = [0x4B, 2, 0x4B, 3, 0x86],
        strides: [UInt8] = [0x4B, 3, 0x4B, 1, 0x86]
    ) -> [UInt8] {
        let storage = [UInt8]("(".utf8) + text("storage") + "ctorch\n\(type)\n".utf8 + text("0") + text("cpu")
        let tensor = Array("(".utf8) + storage + [0x4B, count] + "tQ".utf8 + offset + shape + strides + [0x89]
        let hooks = Array("ccollections\nOrderedDict\n)R".utf8)
        return [0x80, 2] + hooks + "(".utf8 + text("w") + Array(rebuild.utf8) + tensor + hooks + "tRu.".utf8
    }

    static func text(_ text: String) -> [UInt8] { [0x58] + littleEndian(UInt32(text.utf8.count)) + Array(text.utf8) }

    static let storage = (0..<6).flatMap { littleEndian(Float($0).bitPattern) }

    private func fault(of bytes: [UInt8]) throws -> String {
        let folder = try TemporaryFolder()
        let file = try folder.file("t.bin", bytes)
        return PhiTestSupport.fault { _ = try TorchArchive.tensors(of: file) }
    }

    @Test func readsProtocol4() throws {
        let tensors = try TorchArchive.tensors(of: ReadableFile(path: fixture("torch/protocol4.bin")))
        #expect(tensors.map(\.name) == ["weight", "bias"] && tensors.map(\.shape) == [[2, 3], [2]])
        #expect(try floats(tensors[0]) == [0, 1, 2, 3, 4, 5] && floats(tensors[1]) == [1.5, -2])
    }

    @Test func readsViews() throws {
        let tensors = try TorchArchive.tensors(of: ReadableFile(path: fixture("torch/views.bin")))
        #expect(tensors.map(\.name) == ["turned", "tail", "long", "scalar", "empty"])
        #expect(try floats(tensors[0]) == [0, 3, 1, 4, 2, 5] && tensors[0].shape == [3, 2])
        #expect(try floats(tensors[1]) == [3, 4, 5] && tensors[1].shape == [1, 3])
        #expect(tensors[2].refusal == "tensor 'long' has elements of type 'LongStorage', not F64, F32, F16 or BF16")
        #expect(try floats(tensors[3]) == [7] && tensors[3].shape == [])
        #expect(try floats(tensors[4]) == [] && tensors[4].shape == [0, 3])
    }

    @Test(arguments: [false, true]) func readsZipWithAndWithoutWideFields(_ isWide: Bool) throws {
        let folder = try TemporaryFolder()
        let bytes = ZipWriter.torch(pickle: Self.pickle(), storage: Self.storage) { $0.isWide = isWide }
        let tensors = try TorchArchive.tensors(of: folder.file("t.bin", bytes))
        #expect(try floats(tensors[0]) == [0, 1, 2, 3, 4, 5])
    }

    @Test func readsTransposedAndSpacedViews() throws {
        for (shape, strides, values) in [
            ([UInt8(3), 2], [UInt8(1), 3], [Float(0), 3, 1, 4, 2, 5]), ([2, 2], [3, 2], [0, 2, 3, 5]),
            ([2, 2], [2, 3], [0, 3, 2, 5]), ([2, 1], [5, 0], [0, 5]), ([1, 2], [9, 5], [0, 5]),
            ([2, 2], [0, 1], [0, 1, 0, 1]),
            ([2, 2], [1, 0], [0, 0, 1, 1]), ([2, 2], [1, 1], [0, 1, 1, 2]),
        ] {
            let pickle = Self.pickle(
                shape: [0x4B, shape[0], 0x4B, shape[1], 0x86], strides: [0x4B, strides[0], 0x4B, strides[1], 0x86])
            let folder = try TemporaryFolder()
            let tensor = try TorchArchive.tensors(
                of: folder.file("t", ZipWriter.torch(pickle: pickle, storage: Self.storage)))[0]
            #expect(try floats(tensor) == values, "\(shape) \(strides)")
            for start in 0..<values.count {
                for end in start...values.count {
                    var piece = [Float](repeating: .nan, count: end - start)
                    try piece.withUnsafeMutableBufferPointer { try tensor.readFloats(start..<end, into: $0) }
                    #expect(piece == Array(values[start..<end]))
                }
            }
        }
    }

    /// A dictionary that holds itself, one that stands in many places on many levels, and one below too many others.
    @Test func findsTheTensorsOfEachDictionaryOnce() throws {
        func names(_ pickle: [UInt8]) throws -> [String] {
            let folder = try TemporaryFolder()
            let bytes = ZipWriter.torch(pickle: pickle, storage: Self.storage)
            return try TorchArchive.tensors(of: folder.file("t", bytes)).map(\.name)
        }
        let inner = Array(Self.pickle().dropFirst(2).dropLast())  // without protocol and stop
        let key = Self.text("a"), other = Self.text("b")
        #expect(try names([0x7D, 0x71, 0] + key + [0x68, 0, 0x73] + other + inner + Array("s.".utf8)) == ["b/w"])
        var twice = inner + [0x71, 0]
        for level in UInt8(1)...6 {
            twice = [0x7D, 0x71, level] + key + twice + [0x73] + other + [0x68, level - 1, 0x73]
        }
        #expect(try names(twice + [0x2E]) == ["a/a/a/a/a/a/w"])
        func nested(_ levels: Int) -> [UInt8] {
            (0..<levels).flatMap { _ in [0x7D] + key } + inner + [UInt8](repeating: 0x73, count: levels) + [0x2E]
        }
        #expect(try names(nested(7)) == ["a/a/a/a/a/a/a/w"])
        #expect(try names(nested(8)) == [] && names(nested(1000)) == [])
        let long = Self.text(String(repeating: "x", count: 5000))
        #expect(
            try fault(of: ZipWriter.torch(pickle: [0x7D] + long + inner + Array("s.".utf8))).contains(
                "names longer than any")
        )
    }

    static let refusedPickles: [(pickle: [UInt8], fault: String)] = [
        (Array("cos\nsystem\n(X\u{4}\0\0\0echotR.".utf8), "data.pkl wants to call 'os.system'; refused: save"),
        (pickle(rebuild: "cos\nsystem\n"), "data.pkl wants to call 'os.system'; refused: save"),
        (pickle(rebuild: "cbuiltins\neval\n"), "wants to call 'builtins.eval'"),
        (pickle(rebuild: "ctorch._utils\n_rebuild_tensor_v2.__globals__\n"), "wants to call"),
        (
            [0x80, 4, 0x8C, 5] + "posix".utf8 + [0x8C, 6] + "system".utf8 + [0x93, 0x2E], "wants to call 'posix.system'"
        ),
        (Array("ca\u{1B}[31m\nb\n.".utf8), "wants to call 'a\u{FFFD}[31m.b'"),
        (pickle(rebuild: "ccollections\nOrderedDict\n"), "calls torch with arguments that no state_dict has"),
        (
            pickle(shape: Array("(".utf8) + [UInt8](repeating: 0x88, count: 65) + Array("t".utf8)),
            "calls torch with arguments that no state_dict has"
        ),
        (
            pickle(shape: Array("(".utf8) + [[UInt8]](repeating: [0x4B, 1], count: 65).joined() + Array("t".utf8)),
            "calls torch with arguments that no state_dict has"
        ),
        (pickle(type: "QUInt8Storage"), "wants to call 'torch.QUInt8Storage'"),
        (pickle(count: 7), "storage of 7 elements, whose entry has 24 bytes"),
        (pickle(offset: [0x4B, 1]), "lies outside its storage"),
        (pickle(strides: [0x4B, 1, 0x4B, 3, 0x86]), "lies outside its storage"),
        (pickle(strides: [0x4B, 1, 0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0x86]), "lies outside its storage"),
        (pickle(strides: [0x4B, 1, 0x8A, 8, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x86]), "lies outside its storage"),
        (
            pickle(shape: [0x4B, 200, 0x4B, 3, 0x86], strides: [0x4B, 0, 0x4B, 1, 0x86]),
            "has more elements than its storage"
        ),
        (pickle(offset: [0x4A, 0xFF, 0xFF, 0xFF, 0xFF]), "has a shape that cannot be true"),
        (pickle(shape: [0x4B, 2, 0x85]), "has a shape that cannot be true"),
        (pickle(shape: [0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0x4B, 3, 0x86]), "has a shape that cannot be true"),
        (
            pickle(shape: [0x8A, 8, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x4B, 3, 0x86]), "has a shape that cannot be true"
        ),
        (pickle(shape: [0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0x4B, 3, 0x86]), "an integer of 9 bytes"),
        ([], "breaks off"),
        ([0x80, 2], "breaks off"),
        (Array(".".utf8), "ends with 0 values"),
        (Array("NN.".utf8), "ends with 2 values"),
        (Array("N.N".utf8), "goes on after its end"),
        (Array("N.".utf8), "holds no state_dict"),
        (Array("R.".utf8), "its stack is empty"),
        (Array("t.".utf8), "has no mark"),
        (Array("N(0.".utf8), "has opcode 0x30 at byte 2"),
        (Array("N(\u{85}.".utf8.filter { $0 != 0xC2 }), "its stack is empty"),
        (Array("h\u{5}.".utf8), "recalls what it has not kept"),
        (Array("NQ.".utf8), "not a torch storage"),
        (Array("K\u{1}Nb.".utf8), "sets the state of something other"),
        (Array("NNb.".utf8), "holds no state_dict"),
        (Array("N)R.".utf8), "calls something that has no name"),
        (Array("}(NNNu.".utf8), "sets an item of something other"),
        (Array("X".utf8) + [0xFF, 0xFF, 0xFF, 0xFF], "breaks off"),
        (Array("X".utf8) + [1, 0, 0, 0, 0xFF], "not UTF-8"),
        (Array("co".utf8), "breaks off"),
        ([UInt8](repeating: 0x4E, count: 1_100_000), "is larger than any state_dict"),
        ([0x4E] + [UInt8](repeating: 0x85, count: 1_100_000), "is larger than any state_dict"),
        ([UInt8](repeating: 0x28, count: 1_100_000), "is larger than any state_dict"),
        ([0x4E] + [UInt8](repeating: 0x85, count: 200_000) + [0x2E], "holds no state_dict"),
    ]

    /// One tuple of arguments makes five thousand tensors, which would hold 64 dimensions each.
    @Test func countsTheDimensionsOfTensors() throws {
        let zeros = Array("(".utf8) + (0..<64).flatMap { _ in [0x4B, 0] as [UInt8] } + Array("t".utf8)
        let storage = Array("(".utf8) + Self.text("storage") + Array("ctorch\nFloatStorage\n".utf8) + Self.text("0")
        var pickle = Array("}(ctorch._utils\n_rebuild_tensor_v2\nq\u{1}(".utf8)
        pickle += storage + Self.text("cpu") + [0x4B, 0] + Array("tQ".utf8) + [0x4B, 0] + zeros + zeros
        pickle += Array("NNtq\u{2}R".utf8)
        for number in 0..<5000 { pickle += Self.text("\(number)") + Array("h\u{1}h\u{2}R".utf8) }
        let text = try fault(of: ZipWriter.torch(pickle: pickle + Array("u.".utf8)))
        #expect(text.contains("is larger than any state_dict"))
    }

    @Test(arguments: refusedPickles.indices) func refusesPickles(_ index: Int) throws {
        let (pickle, expected) = Self.refusedPickles[index]
        let text = try fault(of: ZipWriter.torch(pickle: pickle, storage: Self.storage))
        #expect(text.contains(expected))
    }

    @Test func refusesOldFilesOfOtherByteOrder() throws {
        var bytes = try readFile(fixture(StateDictFormsTests.oldTorchFile))
        let place = try #require(bytes.firstRange(of: Array("little_endian".utf8))?.upperBound) + 2
        #expect(bytes[place] == 0x88)
        bytes[place] = 0x89
        #expect(try fault(of: bytes) == "is of byte order 'big', not little")
        bytes[place] = 0x88
        #expect(try fault(of: bytes) == "" && fault(of: bytes + [0]) == "has 1 bytes that belong to no storage")
    }

    @Test func refusesOtherFiles() throws {
        let good = ZipWriter.torch(pickle: Self.pickle(), storage: Self.storage)
        #expect(try fault(of: good) == "")
        #expect(try fault(of: []) == "is empty (0 bytes), so it is not a torch archive; download it again")
        #expect(try fault(of: Array("hello".utf8)) == "is not a torch archive (a zip file)")
        #expect(try fault(of: [0x80, 2, 0x8A, 10, 0x6C, 0xFC]) == "is not a torch archive (a zip file)")
        #expect(try fault(of: good + [0]).contains("is not a whole zip archive"))
        #expect(try fault(of: [0x50, 0x4B, 3, 4]).contains("is not a whole zip archive"))
        let lost =
            Array(good[..<(good.count - 22)]) + [0x50, 0x4B, 5, 6] + [UInt8](repeating: 0xFF, count: 16) + [0, 0]
        #expect(try fault(of: lost) == "has a zip directory that is not where its end says")
        let big = ZipWriter.torch(pickle: Self.pickle(), storage: Self.storage, order: "big")
        #expect(try fault(of: big) == "is of byte order 'big', not little")
        let packed = ZipWriter.torch(pickle: Self.pickle()) { $0.method = 8 }
        #expect(try fault(of: packed) == "has a zip entry 'm/data.pkl' that is compressed")
        let locked = ZipWriter.torch(pickle: Self.pickle()) { $0.flags = 1 }
        #expect(try fault(of: locked) == "has a zip entry 'm/data.pkl' that is encrypted")
        let twice = ZipWriter.torch(pickle: Self.pickle()) { $0.add("m/data/0", []) }
        #expect(try fault(of: twice) == "holds two entries 'm/data/0'")
        let second = ZipWriter.torch(pickle: Self.pickle()) { $0.add("n/data.pkl", []) }
        #expect(try fault(of: second) == "is not a torch archive: it holds 2 entries NAME/data.pkl")
        let state = try TorchArchive.tensors(of: ReadableFile(path: fixture("torch/training-state.bin")))
        #expect(state.map(\.name) == ["weight"])
    }

    @Test(arguments: ["torch/protocol4.bin", "torch/views.bin", StateDictFormsTests.oldTorchFile])
    func cutAtEveryLength(_ name: String) throws {
        let folder = try TemporaryFolder()
        let bytes = try ReadableFile(path: fixture(name)).readAll(limit: 1 << 20)
        for length in stride(from: 0, to: bytes.count, by: bytes.count > 10_000 ? 7 : 1) {
            let file = try folder.file("t", Array(bytes[..<length]))
            let text = PhiTestSupport.fault { _ = try TorchArchive.tensors(of: file) }
            #expect(text != "", "\(length) of \(bytes.count) bytes")
        }
    }

    /// Pickles in whole archives, and archives of torch itself with damage anywhere.
    @Test func twentyThousandDamagedArchives() throws {
        let folder = try TemporaryFolder()
        let archives = try ["torch/protocol4.bin", "torch/views.bin", StateDictFormsTests.oldTorchFile].map {
            try ReadableFile(path: fixture($0)).readAll(limit: 1 << 20)
        }
        let wide = ZipWriter.torch(pickle: Self.pickle(), storage: Self.storage) { $0.isWide = true }
        var random = SeededRandom(seed: 2)
        var accepted = 0
        for round in 0..<20_000 {
            let bytes: [UInt8]
            switch round % 5 {
            case 0:
                let pickle = random.mutate(Self.pickle(), in: 0..<Self.pickle().count)
                bytes = ZipWriter.torch(pickle: pickle, storage: Self.storage)
            case 1: bytes = random.mutate(wide, in: 0..<wide.count)
            case 4: bytes = random.mutate(archives[2], in: 0..<6000)  // before the elements
            default: bytes = random.mutate(archives[round % 5 - 2], in: 0..<archives[round % 5 - 2].count)
            }
            let file = try folder.file("t", bytes)
            guard let tensors = try? TorchArchive.tensors(of: file) else { continue }
            accepted += 1
            for tensor in tensors where tensor.refusal == nil { _ = try floats(tensor) }
        }
        #expect(accepted > 200 && accepted < 15_000, "\(accepted)")
    }
}
