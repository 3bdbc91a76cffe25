import Foundation

/// A terminal: the test's side, and the path of the side that a program can have.
func openTerminal() throws -> (descriptor: Int32, path: String) {
    let descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemFault("/dev/ptmx") }
    #if os(Linux)
        // What unlockpt and ptsname do, which Swift does not see: TIOCSPTLCK and TIOCGPTN of <asm-generic/ioctls.h>.
        var lock: Int32 = 0
        var number: UInt32 = 0
        guard ioctl(descriptor, 0x4004_5431, &lock) == 0, ioctl(descriptor, 0x8004_5430, &number) == 0 else {
            throw SystemFault("/dev/ptmx")
        }
        return (descriptor, "/dev/pts/\(number)")
    #else
        guard grantpt(descriptor) == 0, unlockpt(descriptor) == 0, let name = ptsname(descriptor) else {
            throw SystemFault("/dev/ptmx")
        }
        return (descriptor, String(cString: name))
    #endif
}
