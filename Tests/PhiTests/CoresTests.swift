import Testing

import Phi

struct CoresTests {
    private func count(_ processors: Int, _ files: [String: String]) -> Int {
        Cores(processors: Array(0..<processors)) { files[$0] }.count
    }

    private func topology(_ siblings: [String]) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: siblings.enumerated().map {
                ("/sys/devices/system/cpu/cpu\($0)/topology/core_cpus_list", $1 + "\n")
            })
    }

    @Test func eachProcessorIsACoreWhereNothingIsSaid() {
        #expect(count(3, [:]) == 3)
        #expect(count(0, [:]) == 1)
    }

    @Test func siblingsAreOneCore() {
        #expect(count(4, topology(["0,2", "1,3", "0,2", "1,3"])) == 2)
        #expect(count(2, topology(["0,2", "1,3", "0,2", "1,3"])) == 2)
        #expect(
            count(
                2,
                [
                    "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1",
                    "/sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "0-1",
                ]) == 1)
    }

    @Test(arguments: [
        ("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8), ("x y", 8), ("", 8),
    ])
    func aControlGroupLimitsThem(_ limit: String, _ expected: Int) {
        #expect(count(8, ["/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": limit + "\n"]) == expected)
        #expect(count(8, ["/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": limit + "\n"]) == expected)
        #expect(
            count(8, ["/proc/self/cgroup": "0::/a:b:c\n", "/sys/fs/cgroup/a:b:c/cpu.max": limit + "\n"]) == expected)
    }

    @Test func theFirstVersionToo() {
        let folder = "/sys/fs/cgroup/cpu,cpuacct/docker/"
        let groups = ["/proc/self/cgroup": "5:memory:/docker\n4:cpu,cpuacct:/docker\n"]
        #expect(
            count(
                8,
                groups.merging([folder + "cpu.cfs_quota_us": "300000\n", folder + "cpu.cfs_period_us": "100000\n"]) {
                    $1
                }) == 3)
        #expect(
            count(
                8,
                groups.merging([folder + "cpu.cfs_quota_us": "-1\n", folder + "cpu.cfs_period_us": "100000\n"]) { $1 })
                == 8)
    }

    @Test func thisMachineHasSome() {
        #expect(Cores().count >= 1)
        #expect(!Cores.allowed.isEmpty && Cores.allowed == Set(Cores.allowed).sorted())
    }
}
