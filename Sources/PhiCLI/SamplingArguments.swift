import ArgumentParser
import Phi
import PhiJSON

/// The command line options of sampling: one for each ``Phi/SamplingParameter``, and `--seed`.
///
/// ArgumentParser finds options by reflection and reads their values by decoding, so the mirror and the decoder walk the table
/// of parameters instead of declared properties.
struct SamplingArguments: ParsableArguments, CustomReflectable {
    @Option(
        help: """
            The seed of the random numbers: the same seed gives the same text. Without it, phi complete takes a new one \
            each time, phi eval 0.
            """)
    var seed: UInt64?
    private var values: [Double] = []

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: JSONKey.self)
        _seed = try container.decode(Option<UInt64?>.self, forKey: JSONKey("seed"))
        values = try SamplingParameter.all.map { parameter in
            let key = JSONKey(parameter.fieldName)
            return parameter.isWhole
                ? Double(try container.decode(Option<Int>.self, forKey: key).wrappedValue)
                : try container.decode(Option<Double>.self, forKey: key).wrappedValue
        }
    }

    var customMirror: Mirror {
        let options: [(String, Any)] = SamplingParameter.all.map { parameter in
            let name = NameSpecification.customLong(parameter.name)
            let help = ArgumentHelp(stringLiteral: parameter.help)
            let option: Any =
                parameter.isWhole
                ? Option(wrappedValue: Int(parameter.standard), name: name, help: help)
                : Option(wrappedValue: parameter.standard, name: name, help: help)
            return (parameter.fieldName, option)
        }
        return Mirror(self, children: (options + [("seed", _seed)]).map { (label: $0, value: $1) })
    }

    /// The options with `seed`; throws a `ValidationError` when one is out of range.
    func options(seed: UInt64) throws -> SamplingOptions {
        var options = SamplingOptions.greedy.seeded(seed)
        do throws(OptionError) {
            for (parameter, value) in zip(SamplingParameter.all, values) { try parameter.set(value, in: &options) }
        } catch {
            throw ValidationError(error.description)
        }
        return options
    }
}
