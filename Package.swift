// swift-tools-version: 6.2
import PackageDescription

/// The folder of LLVM's libomp, if it is to be linked instead of the OpenMP runtime in CPhiKernels, to compare the two.
let libomp = Context.environment["SWIFT_PHI_LIBOMP"]

let cSettings: [CSetting] =
    [
        .unsafeFlags(["-fopenmp", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror=implicit"]),
        // A debug build of somebody's program is not one of the kernels.
        .unsafeFlags(["-O2"], .when(configuration: .debug)),
    ] + (libomp == nil ? [] : [.define("PHI_LIBOMP")])

let openMP: [LinkerSetting] =
    libomp.map { [.unsafeFlags(["-L\($0)", "-lomp", "-Xlinker", "-rpath", "-Xlinker", $0])] } ?? []

/// Settings of commands and the C library that are linked to be installed, as `make install` and `make package` do: they then need neither
/// Swift nor a C++ library. `make` puts that library's archive into .build/static. Only linking differs.
let installed: [LinkerSetting] =
    Context.environment["SWIFT_PHI_INSTALL"] == nil
    ? []
    : [
        .unsafeFlags(
            [
                "-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims", "-Xclang-linker",
                "-static-libgcc", "-L\(Context.packageDirectory)/.build/static",
            ], .when(platforms: [.linux]))
    ]

/// Condition of dependencies that only the commands need: such packages are not fetched by a package that depends on this one with `traits: []`.
let ofCommands = TargetDependencyCondition.when(traits: ["Commands"])

let package = Package(
    name: "swift-phi",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "phi", targets: ["PhiCLI"]),
        // Not "Phi": the command `phi` and a library of that name would be one file where case does not count.
        .library(name: "SwiftPhi", targets: ["Phi"]),
        // The C library; `make install` gives it its real name, libphi.
        .library(name: "CPhi", type: .dynamic, targets: ["PhiCAPI"]),
    ],
    traits: [
        .trait(name: "Commands", description: "The commands, whose packages users of the library need not fetch."),
        .default(enabledTraits: ["Commands"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        // The engine.
        .target(name: "CPhiKernels", cSettings: cSettings, linkerSettings: openMP),
        .target(name: "PhiTokenizer"),
        .target(name: "CPhiSupport"),
        .target(name: "PhiSystem"),
        .target(name: "PhiFormat", dependencies: ["CPhiKernels", "CPhiSupport", "PhiSystem"]),
        .target(name: "Phi", dependencies: ["CPhiKernels", "CPhiSupport", "PhiFormat", "PhiSystem", "PhiTokenizer"]),
        // The C API: phi.h and its Swift implementation, with Swift's runtime inside; only phi.h's functions are visible.
        .target(name: "CPhi", exclude: ["phi.pc.in"], cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .target(
            name: "PhiCAPI", dependencies: ["CPhi", "Phi", "PhiFormat", "PhiSystem", "PhiTokenizer"],
            exclude: ["exports.map"],
            linkerSettings: [
                .unsafeFlags(
                    [
                        "-static-stdlib", "-Xlinker", "-soname=libphi.so.0", "-Xlinker", "-z", "-Xlinker", "nodelete",
                        "-Xlinker",
                        "--version-script=\(Context.packageDirectory)/Sources/PhiCAPI/exports.map",
                    ], .when(platforms: [.linux]))
            ] + installed),
        // The tools around it.
        .target(name: "PhiJSON", dependencies: ["PhiFormat"]),
        .target(name: "PhiCheckpoint", dependencies: ["Phi", "PhiFormat", "PhiJSON", "PhiTokenizer"]),
        // libcurl is loaded when the first request is sent, and not linked.
        .target(
            name: "CPhiHTTP", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])],
            linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(name: "PhiHTTP", dependencies: ["CPhiHTTP", "PhiFormat", "PhiSystem"]),
        .target(
            name: "PhiHub",
            dependencies: ["CPhiSupport", "PhiCheckpoint", "PhiFormat", "PhiHTTP", "PhiJSON", "PhiSystem"]),
        .target(name: "CPhiCalibration", exclude: ["text.txt"]),
        .target(
            name: "PhiConvert",
            dependencies: [
                "CPhiCalibration", "CPhiKernels", "Phi", "PhiCheckpoint", "PhiFormat", "PhiJSON", "PhiTokenizer",
            ]),
        // The cases of the kernels that the check program, the tests and the benchmark run.
        .target(name: "CPhiKernelCases", dependencies: ["CPhiKernels"], cSettings: cSettings),
        .target(
            name: "PhiBench",
            dependencies: ["CPhiKernelCases", "CPhiKernels", "Phi", "PhiFormat", "PhiSystem", "PhiTokenizer"]),
        .systemLibrary(name: "CZlib"),
        .target(name: "CPhiSandbox", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .target(name: "CPhiProblems", exclude: ["understanding", "understanding.jsonl"]),
        .target(
            name: "PhiEval",
            dependencies: [
                "CPhiKernels", "CPhiProblems", "CPhiSandbox", "CZlib", "Phi", "PhiFormat", "PhiHTTP", "PhiJSON",
                "PhiSystem", "PhiTokenizer",
            ]),
        .target(name: "CPhiModel", exclude: ["small.phi", "small.md"]),
        .target(name: "CPhiArguments", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .executableTarget(
            name: "PhiCLI",
            dependencies: [
                "Phi", "PhiBench", "PhiCheckpoint", "PhiCommandSupport", "PhiConvert", "PhiEval", "PhiFormat",
                "PhiHub", "PhiJSON", "PhiSystem", "PhiTokenizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser", condition: ofCommands),
            ],
            linkerSettings: installed),
        // Code shared by `phi` and `phi-server`.
        .target(
            name: "PhiCommandSupport",
            dependencies: [
                "CPhiArguments", "CPhiModel", "Phi", "PhiFormat", "PhiJSON", "PhiSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser", condition: ofCommands),
            ]),
        // Tests mirror the sources.
        .target(
            name: "PhiTestSupport",
            dependencies: ["CPhiKernels", "Phi", "PhiCheckpoint", "PhiFormat", "PhiSystem", "PhiTokenizer"],
            path: "Tests/Support"),
        .testTarget(name: "CPhiKernelsTests", dependencies: ["CPhiKernelCases", "CPhiKernels"]),
        .testTarget(
            name: "PhiTokenizerTests", dependencies: ["PhiTestSupport", "PhiTokenizer"], exclude: ["Goldens"]),
        .testTarget(
            name: "PhiFormatTests",
            dependencies: ["CPhiKernels", "CPhiSupport", "Phi", "PhiConvert", "PhiFormat", "PhiTestSupport"]),
        .testTarget(
            name: "PhiCheckpointTests",
            dependencies: ["Phi", "PhiCheckpoint", "PhiFormat", "PhiTestSupport", "PhiTokenizer"],
            exclude: ["Fixtures"]),
        .testTarget(
            name: "PhiHubTests",
            dependencies: ["CPhiSupport", "PhiCheckpoint", "PhiFormat", "PhiHub", "PhiTestSupport"]),
        .testTarget(
            name: "PhiTests",
            dependencies: [
                "CAllocationCounter", "CPhiKernels", "Phi", "PhiCheckpoint", "PhiConvert", "PhiFormat",
                "PhiTestSupport", "PhiTokenizer",
            ],
            exclude: ["Goldens"]),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        .testTarget(
            name: "PhiConvertTests",
            dependencies: ["CPhiKernels", "Phi", "PhiCheckpoint", "PhiConvert", "PhiFormat", "PhiTestSupport"],
            exclude: ["Goldens"]),
        .testTarget(
            name: "PhiEvalTests", dependencies: ["Phi", "PhiEval", "PhiFormat", "PhiTestSupport", "PhiTokenizer"]),
        .testTarget(
            name: "PhiCLITests", dependencies: ["CPhiKernels", "PhiFormat", "PhiTestSupport"], exclude: ["Goldens"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)

// phi-server is left out unless SWIFT_PHI_SERVER is set, as `make server` does: an HTTP server needs some 25 packages, which SwiftPM
// would fetch for `phi`, and for every user of the library without `traits: []`.
if Context.environment["SWIFT_PHI_SERVER"] != nil {
    package.products.append(.executable(name: "phi-server", targets: ["PhiServerCommand"]))
    package.dependencies += [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.9.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.7.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
    ]
    package.targets += [
        .target(name: "CPhiPlayground", exclude: ["page.html"]),
        .target(
            name: "PhiServer",
            dependencies: [
                "CPhiPlayground", "Phi", "PhiFormat", "PhiJSON", "PhiSystem", "PhiTokenizer",
                .product(name: "CoreMetrics", package: "swift-metrics", condition: ofCommands),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: ofCommands),
                .product(name: "Hummingbird", package: "hummingbird", condition: ofCommands),
                .product(name: "Logging", package: "swift-log", condition: ofCommands),
                .product(name: "Metrics", package: "swift-metrics", condition: ofCommands),
                .product(name: "NIOCore", package: "swift-nio", condition: ofCommands),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: ofCommands),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: ofCommands),
            ]),
        .executableTarget(
            name: "PhiServerCommand",
            dependencies: [
                "Phi", "PhiFormat", "PhiCommandSupport", "PhiServer", "PhiSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser", condition: ofCommands),
                .product(name: "Logging", package: "swift-log", condition: ofCommands),
                .product(name: "NIOCore", package: "swift-nio", condition: ofCommands),
            ],
            linkerSettings: installed),
        .testTarget(
            name: "PhiServerTests",
            dependencies: [
                "Phi", "PhiCommandSupport", "PhiServer", "PhiTestSupport", "PhiTokenizer",
                .product(name: "CoreMetrics", package: "swift-metrics", condition: ofCommands),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: ofCommands),
                .product(name: "Hummingbird", package: "hummingbird", condition: ofCommands),
                .product(name: "Logging", package: "swift-log", condition: ofCommands),
                .product(name: "NIOEmbedded", package: "swift-nio", condition: ofCommands),
            ]),
    ]
}

// The fuzzer is left out unless SWIFT_PHI_FUZZ is set, as `make check-fuzz` does: it links with libFuzzer only.
if Context.environment["SWIFT_PHI_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "PhiFuzz",
            dependencies: ["Phi", "PhiCheckpoint", "PhiConvert", "PhiFormat", "PhiTestSupport", "PhiTokenizer"],
            path: "Tests/Fuzz", swiftSettings: [.enableExperimentalFeature("Extern")],
            // Other linkers refuse the second `main`, libFuzzer's.
            linkerSettings: [.unsafeFlags(["-use-ld=lld"])]))
}
