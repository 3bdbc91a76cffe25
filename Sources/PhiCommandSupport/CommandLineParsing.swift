import ArgumentParser
import PhiJSON

/// Wrong usage of a command that is found after its arguments have been parsed.
struct WrongUsage: Error {
    private let command: any ParsableCommand.Type
    private let error: ValidationError

    init(of command: any ParsableCommand.Type, _ error: ValidationError) {
        (self.command, self.error) = (command, error)
    }

    /// Does a command's `work`, whose `ValidationError` becomes one of these.
    static func of(_ command: any ParsableCommand.Type, _ work: () throws -> Void) throws {
        do {
            try work()
        } catch let error as ValidationError {
            throw WrongUsage(of: command, error)
        }
    }

    /// What is printed of it by `root`.
    func message(_ root: any ParsableCommand.Type) -> String {
        "Error: \(error.message)\nSee '\(root.path(to: command) ?? command._commandName) --help' for more information."
    }
}

/// Parsing of the command line: ArgumentParser's, with what it leaves open.
extension ParsableCommand {
    /// The command that the arguments of this process ask for. Throws what ArgumentParser does, and ``WrongUsage`` for a subcommand
    /// that there is not, and for an option that is given twice and is no list.
    package static func parsed() throws -> any ParsableCommand {
        let arguments = joiningNegativeNumbers(CommandArguments.strings)
        try checkSubcommand(arguments)
        let command: any ParsableCommand
        do {
            command = try parseAsRoot(arguments)
        } catch {
            // The number follows a flag, and so is an argument, or meant to be one.
            guard message(for: error).contains("does not take any value") else { throw error }
            command = try parseAsRoot(CommandArguments.strings)
        }
        try WrongUsage.of(type(of: command)) { try type(of: command).checkRepetitions(arguments) }
        return command
    }

    /// Runs a command that was parsed. Throws ``WrongUsage`` instead of a `ValidationError`.
    package static func runParsed(_ command: inout any ParsableCommand) throws {
        try WrongUsage.of(type(of: command)) { try command.run() }
    }

    /// The command that `wanted` is, as it is typed.
    fileprivate static func path(to wanted: any ParsableCommand.Type) -> String? {
        if self == wanted { return _commandName }
        let paths = configuration.subcommands.lazy.compactMap { $0.path(to: wanted) }
        return paths.first.map { "\(_commandName) \($0)" }
    }

    /// Attaches numbers below zero to the options before them, so that they are values, out of range or not, and no options.
    private static func joiningNegativeNumbers(_ arguments: [String]) -> [String] {
        var joined: [String] = []
        var isOpen = true
        for argument in arguments {
            // A prompt such as "-1 + 2" is none.
            let isNumber =
                argument.first == "-" && argument.dropFirst().first.map { $0.isNumber || $0 == "." } ?? false
                && !argument.contains(where: \.isWhitespace)
            if isOpen, isNumber, let option = joined.last, option.first == "-", option.count > 1, !option.contains("=")
            {
                joined[joined.count - 1] = option + "=" + argument
            } else {
                joined.append(argument)
            }
            if argument == "--" { isOpen = false }
        }
        return joined
    }

    /// Throws when the arguments begin with the name of a subcommand that there is not, at any depth.
    private static func checkSubcommand(_ arguments: [String]) throws {
        var command: any ParsableCommand.Type = self
        for (index, name) in arguments.enumerated() {
            if index == 0, name == "help" { continue }
            let subcommands = command.configuration.subcommands.map { (names: names(of: $0), type: $0) }
            guard !subcommands.isEmpty, name.first != "-" else { return }
            guard let next = subcommands.first(where: { $0.names.contains(name) }) else {
                let names = subcommands.flatMap(\.names)
                var advice = ": it has \(names.joined(separator: ", "))."
                if let near = names.min(by: { distance(name, $0) < distance(name, $1) }),
                    distance(name, near) <= max(1, name.count / 3)
                {
                    advice = "; did you mean '\(near)'?"
                }
                let fault = "'\(command._commandName)' has no subcommand '\(name)'" + advice
                throw WrongUsage(of: command, ValidationError(fault))
            }
            command = next.type
        }
    }

    private static func names(of command: any ParsableCommand.Type) -> [String] {
        [command._commandName] + command.configuration.aliases
    }

    /// The least number of characters to replace, insert or delete that makes one text the other (Wagner and Fischer, 1974).
    private static func distance(_ first: String, _ second: String) -> Int {
        var row = Array(0...second.count)
        for (index, letter) in first.enumerated() {
            var corner = row[0]
            row[0] = index + 1
            for (column, other) in second.enumerated() {
                let replaced = corner + (letter == other ? 0 : 1)
                corner = row[column + 1]
                row[column + 1] = min(replaced, corner + 1, row[column] + 1)
            }
        }
        return row[second.count]
    }

    /// Throws when an option that is no list is given twice, under one name or two.
    private static func checkRepetitions(_ arguments: [String]) throws {
        let given = arguments.prefix { $0 != "--" }.filter { $0.first == "-" && $0.count > 1 }
            .map { String($0.prefix { $0 != "=" }) }
        let isSuspect =
            Set(given).count < given.count
            || given.contains { $0.hasPrefix("--") } && given.contains { !$0.hasPrefix("--") }
        // Most command lines need no list of the command's options, which takes a while to make.
        guard isSuspect else { return }
        let tool = try JSONText.decode(ToolDescription.self, from: Array(_dumpHelp().utf8), of: _commandName)
        for option in tool.command.arguments ?? [] where option.kind == "option" && !option.isRepeating {
            let names = (option.names ?? []).map(\.spelling)
            let uses = given.filter(names.contains)
            guard uses.count > 1 else { continue }
            throw ValidationError(
                uses[0] == uses[1]
                    ? "\(uses[0]) is given \(uses.count) times." : "\(uses[0]) and \(uses[1]) are one option.")
        }
    }
}

/// The part of ArgumentParser's description of a command (`--experimental-dump-help`) that ``ParsableCommand`` reads here.
private struct ToolDescription: Decodable {
    let command: Command

    struct Command: Decodable { let arguments: [Argument]? }

    struct Argument: Decodable {
        let kind: String
        let isRepeating: Bool
        let names: [Name]?
    }

    struct Name: Decodable {
        let kind: String
        let name: String

        var spelling: String { (kind == "long" ? "--" : "-") + name }
    }
}
