import Phi
import Testing

/// JSON as RFC 8259 defines it, and nothing beside it.
struct JSONValueTests {
    private func value(_ text: String) throws -> JSONValue { try JSONValue(Array(text.utf8)) }

    @Test func valuesAreRead() throws {
        #expect(try value(" null ") == .null && value("true") == .bool(true) && value("\t\r\nfalse") == .bool(false))
        for text in ["0", "-0", "10", "-12.5e+3", "1E-2", "0.0", "123456789012345678901234567890"] {
            guard case .number(let number) = try value(text) else { Issue.record("\(text)"); continue }
            #expect(number.double == Double(text))
        }
        guard case .number(let long) = try value("18446744073709551615"), case .number(let real) = try value("16.0")
        else {
            Issue.record("numbers are not numbers")
            return
        }
        #expect(long.whole(UInt64.self) == .max && long.whole(Int.self) == nil && real.whole(Int.self) == 16)
        #expect(try value(#""a\"\\\/\b\f\n\r\tA\u00e9\ud83d\uDE00é😀""#) == .string("a\"\\/\u{8}\u{C}\n\r\tAé😀é😀"))
        #expect(try value(#""\u0000""#) == .string("\0"))
        #expect(try value("[ ]") == .array([]) && value("{ }") == .object([:]))
        #expect(
            try value(#"{"a": [1, {"b": null}], "": "x"}"#)
                == .object(["a": .array([value("1"), .object(["b": .null])]), "": .string("x")]))
        let deep = String(repeating: "[", count: JSONValue.depthLimit)
        #expect(throws: Never.self) { try value(deep + String(repeating: "]", count: JSONValue.depthLimit)) }
    }

    @Test(arguments: [
        "", " ", "nul", "True", "nullx", "1 2", "[1,]", #"{"a":1,}"#, "[,1]", "[1 2]", "[1", "]", "{", #"{"a"}"#,
        #"{"a":}"#,
        #"{a:1}"#, #"{'a':1}"#, #"{"a":1 "b":2}"#, #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "01", "-", "+1", ".5",
        "1.", "1e",
        "1e+", "0x1", "NaN", "Infinity", "-Infinity", "\"", #""\"#, #""\x""#, #""\u12g4""#, #""\u+123""#, #""\ud800""#,
        #""\ud800\n""#, #""\udc00""#, #""\ud800\ud800""#, "\"a\nb\"", "\"\u{1}\"", "\u{FEFF}1", "// x\n1", "\u{A0}1",
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65), String(repeating: "[", count: 1_000_000),
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(throws: JSONFault.self) { try value(text) }
    }

    @Test func otherBytesAreRefused() {
        let wide: [UInt8] = Array("{}".utf8).flatMap { [$0, 0] }
        let invalid: [[UInt8]] = [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE9]]
        for bytes in [wide, [0xFF, 0xFE] + wide] + invalid.map({ [0x22] + $0 + [0x22] }) {
            #expect(throws: JSONFault.self) { try JSONValue(bytes) }
        }
    }

    @Test func faultsHaveTheirPlace() {
        #expect(throws: JSONFault(message: "has no value at byte 3")) { try value("[1,]") }
        #expect(throws: JSONFault(message: "holds a key twice at byte 12")) { try value(#"{"a":1,"a":2}"#) }
        #expect(throws: JSONFault(message: "has no value at its end")) { try value("[1,") }
    }
}
