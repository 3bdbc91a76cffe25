/* Writes the logits of llama.cpp's engine, or with -DIK_LLAMA of ik_llama.cpp's: llama_logits MODEL WINDOW JUDGED < token ids > floats
 *
 * Standard input has windows of WINDOW 32-bit token ids. The size of the vocabulary goes to standard output as a 32-bit integer,
 * then of each window the logits of the JUDGED positions before its last. (llama-perplexity stores log-probabilities in 16 bits, the
 * smallest clipped.) */
#include <stdio.h>
#include <stdlib.h>

#include "llama.h"

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char **argv) {
    if (argc != 4) return 64;
    const int window = atoi(argv[2]), judged = atoi(argv[3]);
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)window;
    params.n_threads = params.n_threads_batch = 2;
    struct llama_context *context = llama_init_from_model(model, params);
    if (!context) return 1;
    const int32_t tokens = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const size_t vocabulary = (size_t)tokens;
    if (fwrite(&tokens, sizeof tokens, 1, stdout) != 1) return 1;
    struct llama_batch batch = llama_batch_init(window, 0, 1);
    batch.n_tokens = window;
    while (fread(batch.token, sizeof *batch.token, (size_t)window, stdin) == (size_t)window) {
#ifdef IK_LLAMA
        llama_kv_cache_clear(context);
#else
        llama_memory_clear(llama_get_memory(context), true);
#endif
        for (int i = 0; i < window; i++) {
            batch.pos[i] = i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = i >= window - 1 - judged && i < window - 1;
        }
        if (llama_decode(context, batch)) return 1;
        for (int i = window - 1 - judged; i < window - 1; i++) {
            const float *logits = llama_get_logits_ith(context, i);
            if (!logits || fwrite(logits, sizeof *logits, vocabulary, stdout) != vocabulary) return 1;
        }
    }
    return 0;
}
