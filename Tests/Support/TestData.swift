import Foundation
import Testing

/// A folder of files that are not in the repository, named by the environment variable SWIFT_PHI_DATA: phi-1's tokenizer,
/// HumanEval and MBPP.
package let testData: String? = ProcessInfo.processInfo.environment["SWIFT_PHI_DATA"]

/// Comment of tests that are skipped without ``testData``.
package let needsTestData: Comment = "SWIFT_PHI_DATA is not set"
