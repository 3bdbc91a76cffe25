/* C API of swift-phi: inference of Microsoft's phi-1 family from .phi files, on the CPU.
 *
 *     phi_model *model;
 *     phi_session *session;
 *     phi_generation *generation;
 *     phi_piece piece = PHI_PIECE_INIT;
 *     if (phi_model_open("phi-1.phi", &model) || phi_session_open(model, NULL, &session) ||
 *         phi_generation_begin_text(session, prompt, strlen(prompt), NULL, &generation)) {
 *         fprintf(stderr, "%s\n", phi_error_message());
 *         return 1;
 *     }
 *     while (phi_generation_next(generation, &piece) == PHI_OK) fwrite(piece.text, 1, piece.text_length, stdout);
 *     phi_generation_end(generation);
 *     phi_session_close(session);
 *     phi_model_close(model);
 *
 * Errors. Functions return PHI_OK or an error code; phi_error_message describes the error. The library never throws,
 * prints or exits. A failed call changes nothing and leaves its output arguments untouched, except for counts with
 * PHI_ERROR_ROOM.
 *
 * Out of memory. What grows with a caller's arguments (texts, tokens, a draft corpus, caches, buffers and snapshots) is
 * PHI_ERROR_MEMORY when the system refuses it. Where it refuses even the last megabytes, such as a constraint's tables or
 * a message, the process ends, as it does where a system that promises more memory than it has takes it back.
 *
 * Threads. Any number of threads may use a model at once. A session, its forks and its generations may be used by one
 * thread at a time; only phi_generation_cancel may be called from another. A child of fork() may go on with what its
 * parent opened, if no other thread of the parent was in a call of the library.
 *
 * Stack. A thread needs 64 KB of its stack, and 256 KB to begin a generation with a regex or a JSON schema, which else is
 * PHI_ERROR_STATE. With less than 256 KB left it only waits for a step, which the session's other threads compute: one more
 * is started. On stacks that are not the thread's own, such as fibres', have 256 KB.
 *
 * Arithmetic. Calls compute with rounding to nearest, subnormal numbers and no traps, whatever the thread's settings are,
 * which hold again when they return.
 *
 * Memory. Every object that is opened, forked or begun must be closed or ended once, in any order: a session keeps its
 * model alive, a generation its session. Closing NULL has no effect. No argument has to outlive the call.
 *
 * Compatibility. Structures begin with their size, which their INIT macros set. Later versions append fields, in which
 * zero means the earlier behaviour; a library refuses fields that it does not know, and those called reserved, unless they are
 * zero. */
#ifndef PHI_H
#define PHI_H

#include <stddef.h>
#include <stdint.h>

#define PHI_VERSION_MAJOR 0
#define PHI_VERSION_MINOR 1
#define PHI_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library at run time, such as "0.1.0". It is compatible with programs built with a header of the
 * same major version and the same or a lower minor version. */
const char *phi_version(void);
/* The version as a number: 1000000 * major + 1000 * minor + patch. */
int32_t phi_version_number(void);

typedef enum phi_status {
    PHI_OK = 0,
    PHI_END = 1,             /* a generation has ended */
    PHI_ERROR_ARGUMENT = 2,  /* NULL, a number out of range, or a string that is not UTF-8 */
    PHI_ERROR_FILE = 3,      /* a file cannot be read or is not a valid .phi file */
    PHI_ERROR_MACHINE = 4,   /* PHI_ISA names an unavailable instruction set */
    PHI_ERROR_CONTEXT = 5,   /* more tokens than the remaining context */
    PHI_ERROR_TOKEN = 6,     /* an id that is not a token, or no token continues a constraint's text */
    PHI_ERROR_MEMORY = 7,    /* out of memory */
    PHI_ERROR_SNAPSHOT = 8,  /* not a snapshot of this model */
    PHI_ERROR_ROOM = 9,      /* a result exceeds the capacity; its count is the capacity needed */
    PHI_ERROR_STATE = 10,    /* no logits: nothing was appended; or the session of a generation was changed by another call;
                                or the thread's stack is too small for a constraint */
    PHI_ERROR_CANCELLED = 11 /* phi_generation_cancel was called */
} phi_status;

/* Describes the calling thread's last error in one line of UTF-8, without control characters; "" before the first. Valid until
 * the thread's next error. */
const char *phi_error_message(void);

/* A token id. */
typedef int32_t phi_token;

/* ---- Models ---- */

typedef struct phi_model phi_model;

/* Maps the file at `path`, into which nothing may write while the model is open; takes milliseconds, whatever its size. */
phi_status phi_model_open(const char *path, phi_model **model);
void phi_model_close(phi_model *model);

typedef struct phi_model_info {
    size_t size;
    int32_t vocabulary;      /* number of tokens, and of logits */
    int32_t context;         /* largest number of positions */
    int32_t layers, hidden_size, heads, kv_heads;
    phi_token end_of_text;   /* the first, see phi_model_ends_of_text */
    int32_t reserved;
    uint64_t bytes_per_token; /* bytes of weights read to decode a token */
    char encoding[8];        /* of the transformer blocks: "q3", "q4", "q8", "f16", "f32" */
} phi_model_info;
#define PHI_MODEL_INFO_INIT {sizeof(phi_model_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}}

phi_status phi_model_describe(const phi_model *model, phi_model_info *info);
/* The tokens each of which ends a text; written as lists are, see below. */
phi_status phi_model_ends_of_text(const phi_model *model, phi_token *tokens, size_t capacity, size_t *count);

/* ---- Tokens ----
 *
 * Functions that write a list set `count` to its length and write it if `capacity` suffices; otherwise they return
 * PHI_ERROR_ROOM and write nothing. A call with NULL and 0 returns the length. */

/* Flag: recognise special tokens, such as <|endoftext|>, in text, or print them. Not for untrusted text. */
enum { PHI_SPECIAL_TOKENS = 1 };

/* Encodes `length` bytes of text; bytes that are not UTF-8 are preserved. `flags`: PHI_SPECIAL_TOKENS or 0. */
phi_status phi_tokenize(const phi_model *model, const char *text, size_t length, uint32_t flags, phi_token *tokens,
                        size_t capacity, size_t *count);
/* Decodes tokens to bytes, without a terminating zero. `flags`: PHI_SPECIAL_TOKENS or 0. */
phi_status phi_detokenize(const phi_model *model, const phi_token *tokens, size_t token_count, uint32_t flags, char *text,
                          size_t capacity, size_t *count);

/* ---- Sessions: a sequence of tokens and its KV cache ---- */

typedef struct phi_session phi_session;

typedef enum phi_cache { PHI_CACHE_BY_MODEL = 0, PHI_CACHE_F32 = 1, PHI_CACHE_F16 = 2, PHI_CACHE_Q8 = 3 } phi_cache;

typedef struct phi_session_options {
    size_t size;
    int32_t context;         /* positions of the KV cache; 0 for the model's */
    int32_t threads;         /* 0 for one for each core */
    phi_cache cache;         /* encoding of the KV cache */
    int32_t no_speculation;  /* 1: generations choose every token before the next is computed, with no draft_ field below;
                                results are the same */
    const phi_token *draft_corpus; /* a text, for example one's own code, that drafts are taken from too */
    size_t draft_corpus_count;     /* the first 4,194,304 are taken */
    const phi_model *draft_model;  /* a smaller model with the same tokenizer that drafts too, or NULL */
} phi_session_options;
#define PHI_SESSION_OPTIONS_INIT {sizeof(phi_session_options), 0, 0, PHI_CACHE_BY_MODEL, 0, NULL, 0, NULL}

/* `options` may be NULL. */
phi_status phi_session_open(const phi_model *model, const phi_session_options *options, phi_session **session);
void phi_session_close(phi_session *session);

/* Speculation: generations of the session and of its forks draft the tokens that are likely to come, where that pays, and
 * compute several in one step; texts and probabilities are the same bits. Writes how many tokens were drafted so far and how
 * many of those were then chosen. */
phi_status phi_session_draft_counts(const phi_session *session, uint64_t *drafted, uint64_t *accepted);

/* Appends tokens. Results are the same bits however a sequence is split into calls, for any number of threads. */
phi_status phi_session_append(phi_session *session, const phi_token *tokens, size_t count);
/* Appends tokens and writes each one's natural log-probability to `log_probabilities`, [count]; NaN for the first token
 * of the sequence. */
phi_status phi_session_score(phi_session *session, const phi_token *tokens, size_t count, double *log_probabilities);
/* The logits of the next token, [vocabulary]. PHI_ERROR_STATE if there are none: append a token. */
phi_status phi_session_logits(const phi_session *session, float *logits, size_t capacity, size_t *count);
/* The tokens of the sequence. */
phi_status phi_session_tokens(const phi_session *session, phi_token *tokens, size_t capacity, size_t *count);
/* Removes all tokens from index `count` on. */
phi_status phi_session_truncate(phi_session *session, size_t count);

/* All tokens, as a `count`. */
#define PHI_ALL ((size_t)-1)

/* Creates an independent session with a copy of the first `count` tokens, or PHI_ALL, and of their keys and values. */
phi_status phi_session_fork(phi_session *session, size_t count, phi_session **fork);
/* Writes a snapshot of the first `count` tokens, or PHI_ALL, and their keys and values: about 104 kB a token for phi-1
 * in q4. */
phi_status phi_session_save(const phi_session *session, size_t count, void *bytes, size_t capacity, size_t *size);
/* Replaces the session's sequence by that of a snapshot. Model file and KV cache encoding must be the same. Later
 * results are those of the session that was saved. */
phi_status phi_session_restore(phi_session *session, const void *bytes, size_t size);

/* ---- Generations: a completion, token by token ---- */

typedef struct phi_generation phi_generation;

/* The largest number of prompt tokens computed together. */
#define PHI_BATCH_TOKENS 256

typedef struct phi_logit_bias {
    phi_token token;
    float bias;              /* added to the token's logit; minus infinity forbids it. If all are forbidden, token 0 is
                                chosen, or with a regex or a JSON schema the likeliest that it allows */
} phi_logit_bias;

typedef struct phi_generation_options {
    size_t size;
    int64_t maximum_tokens;  /* -1 for the remaining context */
    double temperature;      /* 0 always takes the most likely token */
    double top_p;            /* 1 for all tokens */
    double min_p;            /* 0 for all tokens */
    double repeat_penalty;   /* above 0 as a float; 1 has no effect */
    uint64_t seed;           /* equal seeds give equal tokens, on any machine */
    int32_t top_k;           /* 0 for all tokens */
    int32_t log_probabilities; /* -1 for none, 0 for the chosen token's, n also for n alternatives */
    const char *const *stop; /* strings in UTF-8 that end the completion and are not part of it */
    size_t stop_count;
    const phi_logit_bias *logit_bias;
    size_t logit_bias_count;
    int32_t ignore_end_of_text; /* 1: a token that ends a text is a token like others */
    int32_t reserved;
    double presence_penalty;  /* -2 to 2, subtracted from the logits of tokens in the completion; 0 has no effect */
    double frequency_penalty; /* -2 to 2, likewise, as often as the completion contains the token */
    const char *regex;        /* keeps the completion to texts that match it as a whole, or NULL */
    const char *json_schema;  /* keeps the completion to JSON that is valid under this schema, or NULL; not with a regex.
                                 "oneOf" is as "anyOf": a text may be valid under several of its schemas */
} phi_generation_options;
#define PHI_GENERATION_OPTIONS_INIT \
    {sizeof(phi_generation_options), -1, 0.0, 1.0, 0.0, 1.0, 0, 0, -1, NULL, 0, NULL, 0, 0, 0, 0.0, 0.0, NULL, NULL}

typedef enum phi_stop {
    PHI_STOP_NOT = 0,        /* the completion continues */
    PHI_STOP_END_OF_TEXT = 1,
    PHI_STOP_STRING = 2,
    PHI_STOP_MAXIMUM_TOKENS = 3,
    PHI_STOP_CONTEXT_FULL = 4,
    PHI_STOP_COMPLETE = 5    /* `regex` or `json_schema` allows nothing more */
} phi_stop;

typedef struct phi_token_probability {
    phi_token token;
    int32_t reserved;
    double log_probability;
} phi_token_probability;

/* A token and the text that it completes: none while a character is incomplete or a stop string may have begun. */
typedef struct phi_piece {
    size_t size;
    phi_token token;
    phi_stop stop;           /* why the completion ends with this token */
    const char *text;        /* UTF-8, zero-terminated; valid until the generation's next call, like `alternatives` */
    size_t text_length;
    double log_probability;  /* NaN unless requested */
    const phi_token_probability *alternatives; /* the most likely tokens in descending order */
    size_t alternative_count;
} phi_piece;
#define PHI_PIECE_INIT {sizeof(phi_piece), 0, PHI_STOP_NOT, NULL, 0, 0.0, NULL, 0}

/* Begins a completion of `count` tokens; an empty prompt stands for the token that begins texts. The session's tokens are reused as
 * far as they agree with the prompt. `options` may be NULL. Nothing is computed yet. If anything else changes the
 * session before the generation ends, its next call returns PHI_ERROR_STATE. */
phi_status phi_generation_begin(phi_session *session, const phi_token *prompt, size_t count,
                                const phi_generation_options *options, phi_generation **generation);
/* Begins a completion of `length` bytes of text, in which special tokens are recognised. */
phi_status phi_generation_begin_text(phi_session *session, const char *prompt, size_t length,
                                     const phi_generation_options *options, phi_generation **generation);
/* Generates the next token; the first call prefills the prompt. PHI_END at the end. */
phi_status phi_generation_next(phi_generation *generation, phi_piece *piece);
/* Makes the current or next call of phi_generation_next return PHI_ERROR_CANCELLED, within the time of one token or of
 * PHI_BATCH_TOKENS of the prompt. May be called from any thread until the generation is ended. */
void phi_generation_cancel(phi_generation *generation);
void phi_generation_end(phi_generation *generation);

#ifdef __cplusplus
}
#endif
#endif
