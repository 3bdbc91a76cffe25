import Foundation
import PhiFormat
import PhiCheckpoint
import PhiTestSupport
import Testing

@Suite struct SafetensorsTests {
    @Test func readsWhatTheLibraryWrote() throws {
        let file = try ReadableFile(path: fixture("current-safetensors-f32/model.safetensors"))
        let tensors = try Safetensors.tensors(of: file)
        #expect(tensors.count == 33)
        let norm = try #require(tensors.first { $0.name == "model.layers.0.input_layernorm.weight" })
        #expect(norm.shape == [16] && norm.elementType == .float32 && norm.refusal == nil)
        #expect(tensors.allSatisfy { $0.file === file })
    }

    /// Every 16-bit pattern, and at each odd number of elements, so that vectors and remainders are both walked.
    @Test(arguments: ["F16", "BF16"]) func widensEveryHalfExactly(_ type: String) throws {
        let folder = try TemporaryFolder()
        let header = #"{"t":{"dtype":"\#(type)","shape":[256,256],"data_offsets":[0,131072]}}"#
        let bytes = safetensors(header, data: 0) + (UInt16.min...UInt16.max).flatMap { littleEndian($0) }
        let tensor = try Safetensors.tensors(of: folder.file("t", bytes))[0]
        let values = try floats(tensor)
        var wrong: [UInt16] = []
        for bits in UInt16.min...UInt16.max {
            let sign = UInt32(bits & 0x8000) << 16
            let expected: UInt32
            if type == "BF16" {
                expected = UInt32(bits) << 16
            } else if bits & 0x7C00 == 0x7C00 {  // infinities and NaNs, with their payload
                expected = sign | 0x7F80_0000 | UInt32(bits & 0x3FF) << 13
            } else {
                let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 0x3FF))
                let whole = exponent == 0 ? fraction : fraction + 1024
                expected = sign | Float(scalbn(whole, max(exponent, 1) - 25)).bitPattern
            }
            if values[Int(bits)].bitPattern != expected { wrong.append(bits) }
        }
        #expect(wrong.isEmpty)
        for count in [1, 3, 7, 8, 15, 17, 33] {
            var piece = [Float](repeating: 0, count: count)
            try piece.withUnsafeMutableBufferPointer { try tensor.readFloats(14_337..<14_337 + count, into: $0) }
            #expect(piece == Array(values[14_337..<14_337 + count]))
        }
    }

    @Test func readsMoreThanOnePieceOfHalves() throws {
        let folder = try TemporaryFolder()
        let count = 300_001
        let header = #"{"t":{"dtype":"BF16","shape":[\#(count)],"data_offsets":[0,\#(2 * count)]}}"#
        let halves = (0..<count).map { UInt16(truncatingIfNeeded: $0 &* 31) & 0x3FFF }
        let tensor = try Safetensors.tensors(
            of: folder.file("t", safetensors(header, data: 0) + halves.flatMap { littleEndian($0) }))[0]
        #expect(try floats(tensor) == halves.map { Float(bitPattern: UInt32($0) << 16) })
    }

    @Test func listsOtherTypesAndRefusesToReadThem() throws {
        let folder = try TemporaryFolder()
        let header = """
            {"__metadata__":{"format":"pt"},"e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},
            "i":{"dtype":"I32","shape":[],"data_offsets":[0,4]},"f":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]},
            "n":{"dtype":"F4_NEW","shape":[3],"data_offsets":[8,10]}}      
            """
        let tensors = try Safetensors.tensors(of: folder.file("t", safetensors(header, data: 10)))
        #expect(tensors.map(\.name) == ["i", "e", "f", "n"])
        #expect(tensors[0].refusal == "tensor 'i' has elements of type 'I32', not F64, F32, F16 or BF16")
        #expect(fault { _ = try floats(tensors[3]) }.contains("F4_NEW"))
        #expect(try floats(tensors[1]) == [] && floats(tensors[2]) == [Float(bitPattern: 0x0706_0504)])
    }

    static let refused: [(header: String, data: Int, fault: String)] = [
        ("", 0, "does not begin with {"),
        (" {}", 0, "does not begin with {"),
        ("{", 0, "is not JSON"),
        ("{}", 1, "has 1 bytes that belong to no tensor"),
        ("[]", 0, "does not begin with {"),
        (#"{"__metadata__":{"a":1}}"#, 0, "'__metadata__.a' is not a string"),
        (#"{"t":7}"#, 0, "'t' is not"),
        (#"{"t":{"dtype":"F32","shape":[1]}}"#, 4, "has no 't.data_offsets'"),
        (#"{"t":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}"#, 4, "'t.dtype' is not a string"),
        (#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4, "has not two data offsets"),
        (#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "lies at bytes 4 to 0 of 4"),
        (#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "lies at bytes -4 to 0 of 4"),
        (#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[-9223372036854775808,4]}}"#, 4, "lies at bytes"),
        (#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 4, "lies at bytes 0 to 8 of 4"),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}"#, 4,
            "holds a number or a text that"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,1e400]}}"#, 4,
            "holds a number or a text that"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[0.5],"data_offsets":[0,4]}}"#, 4,
            "holds a number or a text that"
        ),
        (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "is not 4 bytes long"),
        (#"{"t":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}"#, 4, "too large to be true"),
        (#"{"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, 4, "too large to be true"),
        (#"{"t":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}"#, 4, "is not 4 bytes long"),
        (
            #"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"u":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            12, "tensor 'u' overlaps the one before it"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"u":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4, "tensor 'u' overlaps the one before it"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"u":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12, "tensor 'u' leaves a hole before it"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4, "holds the key 't' twice"
        ),
        (
            #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0074":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#,
            4, "holds the key 't' twice"
        ),
        (
            #"{"t":"# + String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000) + "}", 0,
            "is not JSON"
        ),
        (String(repeating: #"{"a":"#, count: 10_000), 0, "is not JSON"),
        ("{\0}", 0, "is not JSON in UTF-8"),
        ("{\"\u{FF}\n\": 1}", 0, "holds a number or a text that"),
    ]

    @Test func headersAreBounded() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("t", safetensors("{" + String(repeating: " ", count: 4 << 20) + "}", data: 0))
        let fault = "has a header of 4194306 bytes; at most 4194304 are expected"
        #expect(throws: FormatError(file.path, fault)) { try Safetensors.tensors(of: file) }
    }

    @Test(arguments: refused) func refusesByName(_ header: String, _ data: Int, _ expected: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("t", safetensors(header, data: data))
        let text = fault { _ = try Safetensors.tensors(of: file) }
        #expect(text.contains(expected))
        #expect(!text.contains("\n"))
    }

    @Test(arguments: [3, 100_000_001, 1 << 32, 1 << 63, UInt64.max]) func lengthsThatLie(_ length: UInt64) throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("t", safetensors("{}", data: 0, length: length))
        #expect(fault { _ = try Safetensors.tensors(of: file) }.contains("a header of \(length) bytes in a file of 10"))
    }

    @Test func cutAtEveryLength() throws {
        let folder = try TemporaryFolder()
        let whole = try ReadableFile(
            path: fixture("first-port-safetensors-split-bf16/model-00002-of-00003.safetensors"))
        let bytes = try whole.readAll(limit: 1 << 20)
        #expect(try Safetensors.tensors(of: folder.file("t", bytes)).count > 3)
        for length in 0..<bytes.count {
            let file = try folder.file("t", Array(bytes[..<length]))
            #expect(fault { _ = try Safetensors.tensors(of: file) } != "", "\(length) of \(bytes.count) bytes")
        }
    }

    @Test func twentyThousandDamagedHeaders() throws {
        let folder = try TemporaryFolder()
        let header = """
            {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
            "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"F16","shape":[],"data_offsets":[32,34]}}
            """
        let bytes = safetensors(header, data: 34)
        var random = SeededRandom(seed: 1)
        var accepted = 0
        for _ in 0..<20_000 {
            let file = try folder.file("t", random.mutate(bytes, in: 0..<bytes.count - 34))
            guard let tensors = try? Safetensors.tensors(of: file) else { continue }
            accepted += 1
            for tensor in tensors where tensor.refusal == nil { _ = try floats(tensor) }
        }
        #expect(accepted > 100 && accepted < 15_000, "\(accepted)")
    }
}
