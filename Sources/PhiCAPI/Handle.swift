/// A C caller's pointer that owns `object`.
func handle(to object: some AnyObject) -> OpaquePointer {
    OpaquePointer(Unmanaged.passRetained(object).toOpaque())
}

/// The object behind `handle`.
func object<Object: AnyObject>(_ handle: OpaquePointer?, _ name: String) throws -> Object {
    Unmanaged<Object>.fromOpaque(UnsafeRawPointer(try given(handle, name))).takeUnretainedValue()
}

/// Releases the caller's ownership.
func release<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type) {
    if let handle { Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release() }
}
