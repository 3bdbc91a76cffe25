// swift-tools-version: 6.2
// A package that uses swift-phi as a stranger's would: by address and version. `make test-embedding` builds it and puts a
// clone of this repository in the address's place.
import PackageDescription

let package = Package(
    name: "Embedding",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://example.com/swift-phi.git", from: "0.1.0", traits: [])],
    targets: [
        .executableTarget(name: "Embedding", dependencies: [.product(name: "SwiftPhi", package: "swift-phi")])
    ],
    swiftLanguageModes: [.v6]
)
