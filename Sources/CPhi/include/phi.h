/* swift-phi for C, C++ and whatever can call C: models of Microsoft's phi-1 family from .phi files, on the CPU.
 *
 *     phi_model *model;
 *     phi_session *session;
 *     phi_generation *text;
 *     phi_piece piece = PHI_PIECE_INIT;
 *     if (phi_model_open("phi-1.phi", &model) || phi_session_open(model, NULL, &session) ||
 *         phi_generation_begin_text(session, prompt, strlen(prompt), NULL, &text)) {
 *         fprintf(stderr, "%s\n", phi_error_message());
 *         return 1;
 *     }
 *     while (phi_generation_next(text, &piece) == PHI_OK) fwrite(piece.text, 1, piece.text_length, stdout);
 *     phi_generation_end(text);
 *     phi_session_close(session);
 *     phi_model_close(model);
 *
 * Errors. Functions return PHI_OK or say what is wrong by a code, and in words by phi_error_message. Nothing is thrown, printed
 * or ended. What fails changes nothing, and leaves what its last argument points to untouched, but for counts of PHI_ERROR_ROOM.
 *
 * Threads. A model may be used by any number of threads at once. A session, its forks and its generations are used by one
 * thread at a time, whichever; phi_generation_cancel alone may come from another. A process that was forked must not use
 * what its parent opened.
 *
 * Memory. What is opened, forked or begun is closed or ended once, in any order: a session keeps its model, a generation its
 * session. Closing NULL does nothing. Nothing that is passed in has to outlive the call.
 *
 * Growth. Structures begin with their size, as their INIT macros set it. Later versions add fields at the end, whose zero means
 * the behaviour of before; a library refuses fields that it does not know unless they are zero. */
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

/* The version of the library that is running, such as "0.1.0". A program that was built with a header of the same major
 * version and of the same or a lower minor version can use it. */
const char *phi_version(void);
/* The same as a number: 1000000 * major + 1000 * minor + patch. */
int32_t phi_version_number(void);

typedef enum phi_status {
    PHI_OK = 0,
    PHI_END = 1,             /* a generation is at its end */
    PHI_ERROR_ARGUMENT = 2,  /* NULL, a size, or a number out of range */
    PHI_ERROR_FILE = 3,      /* a file cannot be read or is not a sound .phi file */
    PHI_ERROR_MACHINE = 4,   /* PHI_ISA names an instruction set that is not there */
    PHI_ERROR_CONTEXT = 5,   /* more tokens than the context has room for */
    PHI_ERROR_TOKEN = 6,     /* a number that is no token */
    PHI_ERROR_MEMORY = 7,    /* the system gave no memory */
    PHI_ERROR_SNAPSHOT = 8,  /* bytes that phi_session_save did not give, or for another model */
    PHI_ERROR_ROOM = 9,      /* a result needs more room than the caller gave; its count says how much */
    PHI_ERROR_STATE = 10,    /* there are no logits: nothing was appended */
    PHI_ERROR_CANCELLED = 11 /* phi_generation_cancel came */
} phi_status;

/* What the calling thread's last call that did not return PHI_OK or PHI_END had to say, in one line of UTF-8; "" before the
 * first. Valid until the thread's next failure. */
const char *phi_error_message(void);

/* The number of a token. */
typedef int32_t phi_token;

/* ---- Models ---- */

typedef struct phi_model phi_model;

/* Maps the file at `path`; takes milliseconds for any size. */
phi_status phi_model_open(const char *path, phi_model **model);
void phi_model_close(phi_model *model);

typedef struct phi_model_info {
    size_t size;
    int32_t vocabulary;      /* tokens, and logits */
    int32_t context;         /* positions */
    int32_t layers, hidden_size, heads, kv_heads;
    phi_token end_of_text;
    int32_t reserved;
    uint64_t bytes_per_token; /* of weights, which each decoded token reads */
    char encoding[8];        /* of the blocks: "q4", "q8", "f16", "f32" */
} phi_model_info;
#define PHI_MODEL_INFO_INIT { sizeof(phi_model_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 } }

phi_status phi_model_describe(const phi_model *model, phi_model_info *info);

/* ---- Tokens ----
 *
 * Functions that write a list write at most `capacity` elements and set `count` to what there is. If that is more, they return
 * PHI_ERROR_ROOM and write none; so a call with NULL and 0 asks for the size. */

/* Whether special tokens, like <|endoftext|>, are found in a text, or printed. Not for text that somebody else wrote. */
enum { PHI_SPECIAL_TOKENS = 1 };

/* The tokens of `length` bytes of text. Bytes that are not UTF-8 are kept as they are. `flags`: PHI_SPECIAL_TOKENS or 0. */
phi_status phi_tokenize(const phi_model *model, const char *text, size_t length, uint32_t flags, phi_token *tokens,
                        size_t capacity, size_t *count);
/* The bytes of tokens, without a zero at the end. `flags`: PHI_SPECIAL_TOKENS or 0. */
phi_status phi_detokenize(const phi_model *model, const phi_token *tokens, size_t token_count, uint32_t flags, char *text,
                          size_t capacity, size_t *count);

/* ---- Sessions: one text and its keys and values ---- */

typedef struct phi_session phi_session;

typedef enum phi_cache { PHI_CACHE_BY_MODEL = 0, PHI_CACHE_F32 = 1, PHI_CACHE_F16 = 2, PHI_CACHE_Q8 = 3 } phi_cache;

typedef struct phi_session_options {
    size_t size;
    int32_t context;         /* positions to make room for; 0 for the model's */
    int32_t threads;         /* to compute on; 0 for one for each core */
    phi_cache cache;         /* how keys and values are kept */
    int32_t reserved;
} phi_session_options;
#define PHI_SESSION_OPTIONS_INIT { sizeof(phi_session_options), 0, 0, PHI_CACHE_BY_MODEL, 0 }

/* `options` may be NULL. */
phi_status phi_session_open(const phi_model *model, const phi_session_options *options, phi_session **session);
void phi_session_close(phi_session *session);

/* Appends tokens. How a text is cut into appends changes no bit of any result, nor does the number of threads. */
phi_status phi_session_append(phi_session *session, const phi_token *tokens, size_t count);
/* Appends tokens and writes the natural logarithm of each one's probability to `log_probabilities`, which has room for `count`:
 * NaN for the first one if nothing was there before it. */
phi_status phi_session_score(phi_session *session, const phi_token *tokens, size_t count, double *log_probabilities);
/* The logits of what comes next, one a token of the vocabulary. After PHI_ERROR_STATE, append something. */
phi_status phi_session_logits(const phi_session *session, float *logits, size_t capacity, size_t *count);
/* The text so far. */
phi_status phi_session_tokens(const phi_session *session, phi_token *tokens, size_t capacity, size_t *count);
/* Takes back all tokens from place `count` on. */
phi_status phi_session_truncate(phi_session *session, size_t count);

/* All tokens, where a number of them is asked for. */
#define PHI_ALL ((size_t)-1)

/* A session of its own that holds the first `count` tokens, or PHI_ALL: their keys and values are copied instead of computed. */
phi_status phi_session_fork(phi_session *session, size_t count, phi_session **fork);
/* The first `count` tokens, or PHI_ALL, with keys and values, as bytes: about 104 kB a token for phi-1 in q4. */
phi_status phi_session_save(const phi_session *session, size_t count, void *bytes, size_t capacity, size_t *size);
/* Takes such bytes in place of what the session holds. The model must be the same file's, the cache of the same kind. Results are
 * then those of a session that computed it. */
phi_status phi_session_restore(phi_session *session, const void *bytes, size_t size);

/* ---- Generations: a text that goes on token by token ---- */

typedef struct phi_generation phi_generation;

typedef struct phi_logit_bias {
    phi_token token;
    float bias;              /* is added to the token's logit; minus infinity forbids it */
} phi_logit_bias;

typedef struct phi_generation_options {
    size_t size;
    int64_t maximum_tokens;  /* -1 for as many as the context has room for */
    double temperature;      /* 0 takes the likeliest token always */
    double top_p;            /* 1 leaves all */
    double min_p;            /* 0 leaves all */
    double repeat_penalty;   /* 1 does nothing */
    uint64_t seed;           /* the same seed gives the same text, on any machine */
    int32_t top_k;           /* 0 leaves all */
    int32_t log_probabilities; /* -1 for none, 0 for the chosen token's, n for n alternatives too */
    const char *const *stop; /* texts that end it and are not part of it */
    size_t stop_count;
    const phi_logit_bias *logit_bias;
    size_t logit_bias_count;
} phi_generation_options;
#define PHI_GENERATION_OPTIONS_INIT \
    { sizeof(phi_generation_options), -1, 0.0, 1.0, 0.0, 1.0, 0, 0, -1, NULL, 0, NULL, 0 }

typedef enum phi_stop {
    PHI_STOP_NOT = 0,        /* the text goes on */
    PHI_STOP_END_OF_TEXT = 1,
    PHI_STOP_STRING = 2,
    PHI_STOP_MAXIMUM_TOKENS = 3,
    PHI_STOP_CONTEXT_FULL = 4
} phi_stop;

typedef struct phi_token_probability {
    phi_token token;
    int32_t reserved;
    double log_probability;
} phi_token_probability;

/* A token and the text that is decided by it: none while a character is unfinished or a stop string has perhaps begun. */
typedef struct phi_piece {
    size_t size;
    phi_token token;
    phi_stop stop;           /* why the text ends with this token */
    const char *text;        /* UTF-8, a zero behind it; valid until the generation's next call, as what follows is */
    size_t text_length;
    double log_probability;  /* NaN unless asked for */
    const phi_token_probability *alternatives; /* the likeliest tokens in falling order */
    size_t alternative_count;
} phi_piece;
#define PHI_PIECE_INIT { sizeof(phi_piece), 0, PHI_STOP_NOT, NULL, 0, 0.0, NULL, 0 }

/* Begins a text that follows on `count` tokens; what the session holds already is kept as far as it agrees with them. None stand
 * for <|endoftext|>, after which texts begin. `options` may be NULL. Nothing is computed yet; and until the end nothing else may
 * change the session. */
phi_status phi_generation_begin(phi_session *session, const phi_token *prompt, size_t count,
                                const phi_generation_options *options, phi_generation **generation);
/* The same with a prompt of `length` bytes of text, in which special tokens are found. */
phi_status phi_generation_begin_text(phi_session *session, const char *prompt, size_t length,
                                     const phi_generation_options *options, phi_generation **generation);
/* The next token; the first call reads the prompt. PHI_END when there is none. */
phi_status phi_generation_next(phi_generation *generation, phi_piece *piece);
/* Makes the call of phi_generation_next that is under way, or the next one, return PHI_ERROR_CANCELLED: within one token's time,
 * or that of 192 tokens of the prompt. From any thread, as long as the generation is not ended. */
void phi_generation_cancel(phi_generation *generation);
void phi_generation_end(phi_generation *generation);

#ifdef __cplusplus
}
#endif
#endif
