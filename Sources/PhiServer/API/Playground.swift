import CPhiPlayground
import Hummingbird

extension Endpoints {
    /// `GET /`: a page for trying the model. It loads nothing and runs no script but its own.
    func playground(_ request: Request, _ context: PhiRequestContext) -> Response {
        let bytes = UnsafeRawBufferPointer(start: phi_playground(), count: phi_playground_size())
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-cache",
                .contentSecurityPolicy:
                    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
                    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                .xContentTypeOptions: "nosniff",
            ], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
