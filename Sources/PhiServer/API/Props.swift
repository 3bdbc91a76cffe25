import Hummingbird
import Phi
import PhiJSON

extension Endpoints {
    /// `GET /props`: the server's settings, in llama-server's names.
    func props(_ request: Request, _ context: PhiRequestContext) -> Response {
        var sampling = SamplingOptions.greedy
        // The defaults are in range.
        for parameter in SamplingParameter.all {
            try? parameter.set(Dialect.llamaServer.standard(parameter), in: &sampling)
        }
        return .json(
            [
                "default_generation_settings": ["n_ctx": model.context, "params": GenerationSettings.json(sampling)]
                    as JSONObject,
                "total_slots": slotCount, "model_alias": model.name, "model_path": model.name, "chat_template": "",
                "bos_token": model.text(of: model.startOfText), "eos_token": model.text(of: model.endOfText),
                "build_info": model.fingerprint, "modalities": ["vision": false, "audio": false],
            ] as JSONObject)
    }

    /// `GET /slots`: how many sequences are computed, in llama-server's form. What they hold is not told.
    func slots(_ request: Request, _ context: PhiRequestContext) -> Response {
        let running = queue.running
        return .json(
            (0..<slotCount).map { slot in
                ["id": slot, "n_ctx": model.context, "is_processing": slot < running] as JSONObject
            })
    }
}
