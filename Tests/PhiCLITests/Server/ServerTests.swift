import Testing

/// The built `phi-server`, one test at a time: each starts servers that keep all cores busy.
@Suite(.serialized, .enabled(if: Command.has("phi-server"), "phi-server is not built; set SWIFT_PHI_SERVER=1 for it"))
enum ServerTests {}
