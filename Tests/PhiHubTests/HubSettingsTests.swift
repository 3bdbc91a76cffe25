import Foundation
import PhiFormat
import PhiHub
import PhiTestSupport
import Testing

/// The environment variables of Hugging Face's library. Values are those that huggingface_hub 2.4 gives, except where a variable
/// is empty: there, it would take the folder in which it runs.
@Suite struct HubSettingsTests {
    private func settings(_ variables: [String: String]) throws -> HubSettings {
        try HubSettings { (["HOME": "/home/me"].merging(variables) { $1 })[$0].map { Array($0.utf8) } }
    }

    @Test(arguments: [
        ([:], "/home/me/.cache/huggingface/hub"),
        (["XDG_CACHE_HOME": "/x"], "/x/huggingface/hub"),
        (["XDG_CACHE_HOME": "/x", "HF_HOME": "/h"], "/h/hub"),
        (["HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"], "/old"),
        (["HF_HUB_CACHE": "/c", "HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"], "/c"),
        (["HF_HOME": "~/h h"], "/home/me/h h/hub"),
        (["HF_HOME": "~"], "/home/me/hub"),
        (["HF_HOME": "~other/h"], "~other/h/hub"),
        (["HF_HOME": "$HOME/h"], "/home/me/h/hub"),
        (["HF_HUB_CACHE": "/a${HOME}b$HOME"], "/a/home/meb/home/me"),
        (["HF_HUB_CACHE": "/$NONE/${NONE}/$/${"], "/$NONE/${NONE}/$/${"),
        (["HF_HOME": "", "HF_HUB_CACHE": ""], "/home/me/.cache/huggingface/hub"),
    ])
    func placesTheCache(_ variables: [String: String], _ cache: String) throws {
        #expect(try settings(variables).cache.description == cache)
    }

    /// Where there is no HOME, as in a service, the system's list of users has the home directory.
    @Test func findsTheHomeWithoutHOME() throws {
        let home = try #require(getpwuid(getuid())?.pointee.pw_dir.map { String(cString: $0) })
        #expect(try HubSettings { _ in nil }.cache.description == home + "/.cache/huggingface/hub")
    }

    @Test func takesPathsThatAreNotUTF8() throws {
        let settings = try HubSettings { $0 == "HF_HUB_CACHE" ? [0x2F, 0xFF] : nil }
        #expect(settings.cache.bytes == [0x2F, 0xFF])
    }

    @Test(arguments: [
        ([:], "https://huggingface.co"), (["HF_ENDPOINT": "https://mirror.example/hf//"], "https://mirror.example/hf"),
        (["HF_ENDPOINT": ""], "https://huggingface.co"),
    ])
    func findsTheEndpoint(_ variables: [String: String], _ endpoint: String) throws {
        #expect(try settings(variables).endpoint == endpoint)
    }

    @Test(arguments: [
        ("1", nil, "HF_HUB_OFFLINE"), ("on", nil, "HF_HUB_OFFLINE"), ("Yes", "0", "HF_HUB_OFFLINE"),
        ("TRUE", nil, "HF_HUB_OFFLINE"), ("2", nil, nil), ("0", "1", nil), ("", "1", "TRANSFORMERS_OFFLINE"),
        (nil, "true", "TRANSFORMERS_OFFLINE"), (nil, nil, nil), ("y", nil, nil),
    ])
    func knowsWhenItIsOffline(_ hub: String?, _ transformers: String?, _ expected: String?) throws {
        var variables: [String: String] = [:]
        variables["HF_HUB_OFFLINE"] = hub
        variables["TRANSFORMERS_OFFLINE"] = transformers
        #expect(try settings(variables).offline == expected)
    }

    @Test func findsTheToken() throws {
        let folder = try TemporaryFolder()
        try folder.write("token", "\n hf_file \r\n")
        try folder.write("other", "hf_other")
        let home = ["HF_HOME": folder.path]
        func token(_ variables: [String: String]) throws -> HubSettings.Token? {
            try settings(home.merging(variables) { $1 }).token
        }
        #expect(try token([:])?.text == "hf_file")
        #expect(try token([:])?.source == folder.at("token"))
        #expect(try token(["HF_TOKEN": "hf_a", "HUGGING_FACE_HUB_TOKEN": "hf_b"])?.text == "hf_a")
        #expect(try token(["HUGGING_FACE_HUB_TOKEN": "hf_b"])?.source == "HUGGING_FACE_HUB_TOKEN")
        #expect(try token(["HF_TOKEN": "\n"])?.text == "hf_file")
        #expect(try token(["HF_TOKEN_PATH": folder.at("other")])?.text == "hf_other")
        #expect(try token(["HF_TOKEN_PATH": folder.at("none")]) == nil)
        #expect(try token(["HF_TOKEN": "hf_a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"]) == nil)
        for text in ["hf\nX-Evil: 1", "hf x", "h\u{E9}"] {
            let message = fault { () throws(FormatError) in
                _ = try HubSettings { $0 == "HF_TOKEN" ? Array(text.utf8) : nil }
            }
            #expect(message.hasPrefix("holds no token"))
        }
    }
}
