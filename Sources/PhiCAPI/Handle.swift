/// A Swift object behind a C caller's pointer, which owns it.
func handle(to object: some AnyObject) -> OpaquePointer {
    OpaquePointer(Unmanaged.passRetained(object).toOpaque())
}

/// The object behind `handle`.
func object<Object: AnyObject>(_ handle: OpaquePointer?, _ name: String) throws -> Object {
    Unmanaged<Object>.fromOpaque(UnsafeRawPointer(try given(handle, name))).takeUnretainedValue()
}

/// Ends the caller's ownership.
func release<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type) {
    if let handle { Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release() }
}
