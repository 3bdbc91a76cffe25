import Phi

/// A field that requests of other servers have and this one does not use: some or all of its values change nothing here.
///
/// The fields are those of the request types of OpenAI (`completion_create_params.py` of openai-python), vLLM
/// (`entrypoints/openai/completion/protocol.py`), SGLang (`srt/entrypoints/openai/protocol.py`), llama-server
/// (`tools/server/server-task.cpp`) and Text Generation Inference (`router/src/lib.rs`), as of November 2026, and a few of their
/// earlier versions and of Ollama.
struct ForeignField: Sendable {
    /// The values that change nothing, beside null; nil for all values.
    private let neutral: [JSONValue]?
    /// Why other values are refused.
    private let reason: String

    /// Throws ``APIError`` when `value` asks for something else than this server does.
    func check(_ value: JSONValue, _ name: String) throws(APIError) {
        guard let neutral, !neutral.contains(value) else { return }
        throw .invalid(name, "\(name) is not supported: \(reason)")
    }

    /// All of them, by name.
    static let all: [String: ForeignField] = {
        var all: [String: ForeignField] = [:]
        func add(_ names: String, _ neutral: [JSONValue]?, _ reason: String = "") {
            for name in names.split(whereSeparator: \.isWhitespace) {
                all[String(name)] = ForeignField(neutral: neutral, reason: reason)
            }
        }
        // Accounts, names, caches, schedules and the form of answers: never the text.
        // OpenAI
        add("user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_retention", nil)
        // vLLM
        add("request_id session_id priority stream_interval return_token_offsets return_mm_kwargs", nil)
        // SGLang
        add("rid custom_labels routed_dp_rank data_parallel_rank disagg_prefill_dp_rank", nil)
        add("bootstrap_host bootstrap_port bootstrap_room return_cached_tokens_details", nil)
        // llama-server
        add("cache_prompt id_slot slot_id n_cache_reuse timings_per_token response_fields return_progress", nil)
        add("backend_sampling verbose parse_tool_calls reasoning_format reasoning_in_content", nil)
        // Text Generation Inference, Ollama
        add("details decoder_input_details keep_alive", nil)

        // Without effect unless another field has one.
        add("add_special_tokens spaces_between_special_tokens length_penalty early_stopping truncation_side", nil)
        add("routed_experts_prompt_start routed_experts_start_len parallel_tool_calls", nil)
        add("guided_decoding_backend", nil)
        add("mirostat_tau mirostat_eta dynatemp_exponent xtc_threshold dry_base dry_allowed_length", nil)
        add("dry_penalty_last_n dry_sequence_breakers adaptive_decay n_keep n_discard grammar_lazy", nil)
        add("grammar_triggers preserved_tokens reasoning_budget_start_tag reasoning_budget_end_tag", nil)
        add("speculative.n_max speculative.n_min speculative.p_min speculative.type", nil)

        add("guided_grammar ebnf grammar", [.string("")], "use guided_regex or guided_json")
        add("guided_whitespace_pattern", [], "white space in JSON is a space, or a line break and spaces")

        let chat = "phi models continue text and are not chat models"
        add("messages thinking reasoning_effort", [], chat)
        add("tools functions", [.array([])], chat)
        add("tool_choice function_call", [.string("none"), .string("auto")], chat)
        add("thinking_token_budget reasoning_budget_tokens", [.integer(-1)], chat)
        add("modalities", [.array([.string("text")])], chat)

        add("suffix", [.string("")], "phi models are not trained to fill in")
        add("input_prefix input_suffix", [.string("")], "phi models are not trained to fill in")
        add("input_extra", [.array([])], "phi models are not trained to fill in")

        let sampler = "there is no such step of sampling"
        add("mirostat xtc_probability dynatemp_range dry_multiplier top_a smoothing_factor", [.integer(0)], sampler)
        add("typical_p typ_p tfs_z", [.integer(1)], sampler)
        add("top_n_sigma", [.integer(-1), .integer(0)], sampler)
        add("adaptive_target", [.integer(-1)], sampler)
        add("min_keep", [.integer(0), .integer(1)], sampler)
        add("use_beam_search watermark watermarking", [.bool(false)], sampler)
        add("do_sample", [.bool(true)], "use temperature 0 to take the most likely token")
        add("samplers", [], "the steps have one order: penalties, temperature, top-k, top-p, min-p")
        add("custom_logit_processor logits_processors allowed_token_ids bad_words", [.array([])], "use logit_bias")
        add("repetition_detection stop_regex", [.array([]), .string("")], "use stop")
        add("custom_params session_params vllm_xargs options", [.object([:])], "there are no such parameters")

        add("skip_special_tokens", [.bool(true)], "special tokens are left out of the text")
        add("include_stop_str_in_output no_stop_trim", [.bool(false)], "stop strings are left out of the text")
        add("truncate_prompt_tokens truncate", [], "prompts are not shortened")
        add("n_indent", [.integer(0)], "lines are not dropped by their indent")
        add(
            "t_max_predict_ms t_max_prompt_ms", [.integer(-1), .integer(0)],
            "text does not depend on time; use max_tokens")
        add("return_full_text", [.bool(false)], "use echo")
        add("prompt_logprobs", [], "use echo with logprobs")
        add("logprob_token_ids", [.array([])], "use logprobs")
        add("return_token_ids return_tokens_as_token_ids", [.bool(false)], "use /tokenize")
        add(
            "return_hidden_states return_routed_experts post_sampling_probs", [.bool(false)],
            "answers do not hold these")
        add("lora", [.array([])], "there are no adapters at run time")
        add("lora_path lora_request", [], "there are no adapters at run time")
        add("prompt_embeds images image_data images_config", [.array([])], "prompts are text or token ids")
        add("kv_transfer_params ec_transfer_params", [.object([:])], "caches are not transferred")
        return all
    }()
}

extension JSONValue {
    fileprivate static func integer(_ value: Int) -> JSONValue { .number(JSONNumber(text: "\(value)")) }
}
