/* exercise MODEL BAD_MODEL: calls every function of phi.h, in ways that work and in ways that must be refused.
 * Longer than 350 lines because it has to compile by itself. */
#include <phi.h>

#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%d: %s (last error: %s)\n", __LINE__, #condition, phi_error_message()); \
            failures++; \
        } \
    } while (0)
#define REFUSED(code, call) \
    do { \
        CHECK((call) == (code)); \
        CHECK(strlen(phi_error_message()) > 0 && !strchr(phi_error_message(), '\n')); \
    } while (0)

static const char prompt[] = "def add(a, b):\n    ";

static phi_session *open_session(phi_model *model, int threads) {
    phi_session_options options = PHI_SESSION_OPTIONS_INIT;
    phi_session *session = NULL;
    options.threads = threads;
    CHECK(phi_session_open(model, &options, &session) == PHI_OK);
    return session;
}

/* Whatever is drafted, the completion is the same. */
static void speculation(phi_model *model) {
    phi_session_options options = PHI_SESSION_OPTIONS_INIT;
    phi_generation_options generation_options = PHI_GENERATION_OPTIONS_INIT;
    phi_token corpus[64], expected[40];
    size_t corpus_count = 0, made = 0;
    uint64_t drafted = 0, accepted = 0;
    int variant;
    CHECK(phi_tokenize(model, prompt, strlen(prompt), 0, corpus, 64, &corpus_count) == PHI_OK);
    generation_options.maximum_tokens = 40;
    generation_options.ignore_end_of_text = 1;
    for (variant = 0; variant < 3; variant++) {
        phi_session *session = NULL;
        phi_generation *generation = NULL;
        phi_piece piece = PHI_PIECE_INIT;
        size_t count = 0;
        options.threads = 1;
        options.no_speculation = variant == 0;
        options.draft_corpus = variant == 1 ? corpus : NULL;
        options.draft_corpus_count = variant == 1 ? corpus_count : 0;
        options.draft_model = variant == 2 ? model : NULL;
        CHECK(phi_session_open(model, &options, &session) == PHI_OK);
        CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &generation_options, &generation) == PHI_OK);
        while (phi_generation_next(generation, &piece) == PHI_OK) {
            if (variant == 0) expected[made++] = piece.token;
            CHECK(count < made && piece.token == expected[count]);
            count++;
        }
        CHECK(count == 40);
        CHECK(phi_session_draft_counts(session, &drafted, &accepted) == PHI_OK && accepted <= drafted);
        CHECK(variant > 0 || drafted == 0);
        REFUSED(PHI_ERROR_ARGUMENT, phi_session_draft_counts(session, NULL, &accepted));
        REFUSED(PHI_ERROR_ARGUMENT, phi_session_draft_counts(NULL, &drafted, &accepted));
        phi_generation_end(generation);
        phi_session_close(session);
    }
    phi_session *session = NULL;
    options.no_speculation = 2;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    options.no_speculation = 1; /* beside a draft model */
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    options.no_speculation = 0;
    options.draft_corpus = NULL;
    options.draft_corpus_count = 3;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    CHECK(session == NULL);
}

static void models(const char *path, const char *bad) {
    phi_model *model = NULL;
    phi_model_info info = PHI_MODEL_INFO_INIT;
    REFUSED(PHI_ERROR_FILE, phi_model_open("/no/such/file.phi", &model));
    CHECK(strstr(phi_error_message(), "/no/such/file.phi") != NULL);
    REFUSED(PHI_ERROR_FILE, phi_model_open("/no/\x1b[31m\nfile.phi", &model));
    CHECK(strchr(phi_error_message(), 27) == NULL && strstr(phi_error_message(), "file.phi: no such file") != NULL);
    char lengthy[3000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[0] = '/';
    lengthy[sizeof lengthy - 1] = 0;
    REFUSED(PHI_ERROR_FILE, phi_model_open(lengthy, &model));
    CHECK(strncmp(phi_error_message(), "/xxx", 4) == 0 && strstr(phi_error_message(), "x...x") != NULL);
    CHECK(strlen(phi_error_message()) == 1023 && strstr(phi_error_message(), "xxx: ") != NULL);
    REFUSED(PHI_ERROR_FILE, phi_model_open(bad, &model));
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_open(NULL, &model));
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_open(path, NULL));
    CHECK(model == NULL);
    CHECK(phi_model_open(path, &model) == PHI_OK);
    CHECK(phi_model_describe(model, &info) == PHI_OK);
    CHECK(info.size == sizeof info && info.vocabulary > 256 && info.context > 0 && info.layers > 0);
    CHECK(info.encoding[0] == 'q' || info.encoding[0] == 'f');
    phi_token end = -1;
    size_t ends = 0;
    CHECK(phi_model_ends_of_text(model, NULL, 0, &ends) == PHI_ERROR_ROOM && ends == 1);
    CHECK(phi_model_ends_of_text(model, &end, 1, &ends) == PHI_OK && end == info.end_of_text);
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_ends_of_text(NULL, &end, 1, &ends));
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_ends_of_text(model, &end, 1, NULL));
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_describe(NULL, &info));
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_describe(model, NULL));
    info.size = 3;
    REFUSED(PHI_ERROR_ARGUMENT, phi_model_describe(model, &info));
    phi_model_close(model);
    phi_model_close(NULL);
}

/* A file's name is bytes, which need not be UTF-8. */
static void odd_names(const char *path) {
    char name[] = "/tmp/caf\xe9-XXXXXX";
    phi_model *model = NULL;
    int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && symlink(path, name) == 0);
    CHECK(phi_model_open(name, &model) == PHI_OK);
    phi_model_close(model);
    unlink(name);
    close(file);
}

static void tokens(phi_model *model) {
    phi_token list[64];
    char text[64];
    size_t count = 0, length = 0;
    const char special[] = "a<|endoftext|>";
    const char odd[] = {'x', (char)0xff, 0, (char)0xc3, 'y'};
    CHECK(phi_tokenize(model, prompt, strlen(prompt), 0, NULL, 0, &count) == PHI_ERROR_ROOM && count > 0 && count < 64);
    CHECK(phi_tokenize(model, prompt, strlen(prompt), 0, list, 64, &count) == PHI_OK);
    CHECK(phi_detokenize(model, list, count, 0, text, 64, &length) == PHI_OK);
    CHECK(length == strlen(prompt) && memcmp(text, prompt, length) == 0);
    CHECK(phi_detokenize(model, list, count, 0, text, length - 1, &length) == PHI_ERROR_ROOM && length == strlen(prompt));
    CHECK(phi_tokenize(model, odd, sizeof odd, 0, list, 64, &count) == PHI_OK);
    CHECK(phi_detokenize(model, list, count, 0, text, 64, &length) == PHI_OK);
    CHECK(length == sizeof odd && memcmp(text, odd, length) == 0);
    CHECK(phi_tokenize(model, special, strlen(special), PHI_SPECIAL_TOKENS, list, 64, &count) == PHI_OK && count == 2);
    CHECK(phi_detokenize(model, list, count, 0, text, 64, &length) == PHI_OK && length == 1);
    CHECK(phi_detokenize(model, list, count, PHI_SPECIAL_TOKENS, text, 64, &length) == PHI_OK);
    CHECK(length == strlen(special) && memcmp(text, special, length) == 0);
    CHECK(phi_tokenize(model, special, strlen(special), 0, list, 64, &count) == PHI_OK && count > 2);
    CHECK(phi_tokenize(model, NULL, 0, 0, NULL, 0, &count) == PHI_OK && count == 0);
    REFUSED(PHI_ERROR_ARGUMENT, phi_tokenize(model, NULL, 1, 0, list, 64, &count));
    REFUSED(PHI_ERROR_ARGUMENT, phi_tokenize(model, prompt, 3, 0, NULL, 64, &count));
    REFUSED(PHI_ERROR_ARGUMENT, phi_tokenize(model, prompt, 3, 0, list, 64, NULL));
    REFUSED(PHI_ERROR_ARGUMENT, phi_tokenize(model, prompt, 3, 2, list, 64, &count));
    list[0] = -1;
    REFUSED(PHI_ERROR_TOKEN, phi_detokenize(model, list, 1, 0, text, 64, &length));
}

static void sessions(phi_model *model) {
    phi_model_info info = PHI_MODEL_INFO_INIT;
    phi_session_options options = PHI_SESSION_OPTIONS_INIT;
    phi_session *session = NULL, *fork = NULL, *other = NULL;
    phi_token list[64], held[64], huge = 1 << 30;
    double scores[64];
    size_t count = 0, held_count = 0, size = 0, vocabulary, i;
    float *logits, *again;
    char *saved;
    CHECK(phi_model_describe(model, &info) == PHI_OK);
    vocabulary = (size_t)info.vocabulary;
    logits = malloc(vocabulary * sizeof *logits);
    again = malloc(vocabulary * sizeof *again);
    CHECK(phi_tokenize(model, prompt, strlen(prompt), 0, list, 64, &count) == PHI_OK);

    options.context = info.context + 1;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    options.context = (int32_t)count + 2;
    options.threads = -1;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    options.threads = 2;
    options.cache = (phi_cache)9;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    options.cache = PHI_CACHE_F16;
    options.size = 0;
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, &options, &session));
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(NULL, NULL, &session));
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_open(model, NULL, NULL));
    CHECK(session == NULL);
    options.size = sizeof options;
    CHECK(phi_session_open(model, &options, &session) == PHI_OK);

    REFUSED(PHI_ERROR_STATE, phi_session_logits(session, logits, vocabulary, &size));
    CHECK(phi_session_append(session, list, count) == PHI_OK);
    CHECK(phi_session_logits(session, logits, vocabulary, &size) == PHI_OK && size == vocabulary);
    REFUSED(PHI_ERROR_ROOM, phi_session_logits(session, logits, vocabulary - 1, &size));
    REFUSED(PHI_ERROR_TOKEN, phi_session_append(session, &huge, 1));
    REFUSED(PHI_ERROR_CONTEXT, phi_session_append(session, list, 3));
    REFUSED(PHI_ERROR_CONTEXT, phi_session_append(session, list, SIZE_MAX / 2));
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_append(session, NULL, 3));
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_append(NULL, list, 1));
    CHECK(phi_session_append(session, NULL, 0) == PHI_OK);
    CHECK(phi_session_tokens(session, held, 64, &held_count) == PHI_OK && held_count == count);
    CHECK(memcmp(list, held, count * sizeof *list) == 0);

    /* Forked and restored sessions have the same logits, bit for bit; so has one that went token by token. */
    CHECK(phi_session_fork(session, PHI_ALL, &fork) == PHI_OK);
    CHECK(phi_session_logits(fork, again, vocabulary, &size) == PHI_OK);
    CHECK(memcmp(logits, again, vocabulary * sizeof *logits) == 0);
    CHECK(phi_session_truncate(fork, 1) == PHI_OK);
    for (i = 1; i < count; i++) CHECK(phi_session_append(fork, &list[i], 1) == PHI_OK);
    CHECK(phi_session_logits(fork, again, vocabulary, &size) == PHI_OK);
    CHECK(memcmp(logits, again, vocabulary * sizeof *logits) == 0);
    REFUSED(PHI_ERROR_STATE, phi_session_logits(session, again, vocabulary, &size));
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_fork(session, 1, NULL));

    CHECK(phi_session_save(session, count - 1, NULL, 0, &size) == PHI_ERROR_ROOM && size > 0);
    saved = malloc(size);
    CHECK(phi_session_save(session, count - 1, saved, size, &size) == PHI_OK);
    phi_session_close(session); /* the fork keeps what it needs */
    options.context = 0;
    options.threads = 1;
    options.cache = PHI_CACHE_F32;
    CHECK(phi_session_open(model, &options, &other) == PHI_OK);
    REFUSED(PHI_ERROR_SNAPSHOT, phi_session_restore(other, saved, size));
    phi_session_close(other);
    options.cache = PHI_CACHE_F16;
    CHECK(phi_session_open(model, &options, &other) == PHI_OK);
    REFUSED(PHI_ERROR_SNAPSHOT, phi_session_restore(other, saved, size - 1));
    REFUSED(PHI_ERROR_SNAPSHOT, phi_session_restore(other, saved, 0));
    saved[size / 2] ^= 1;
    REFUSED(PHI_ERROR_SNAPSHOT, phi_session_restore(other, saved, size));
    saved[size / 2] ^= 1;
    CHECK(phi_session_restore(other, saved, size) == PHI_OK);
    CHECK(phi_session_append(other, &list[count - 1], 1) == PHI_OK);
    CHECK(phi_session_logits(other, again, vocabulary, &size) == PHI_OK);
    CHECK(memcmp(logits, again, vocabulary * sizeof *logits) == 0);

    CHECK(phi_session_truncate(other, 0) == PHI_OK);
    CHECK(phi_session_score(other, list, count, scores) == PHI_OK && isnan(scores[0]));
    for (i = 1; i < count; i++) CHECK(scores[i] < 0 && scores[i] > -50);
    CHECK(phi_session_truncate(other, 2) == PHI_OK);
    {
        double later[64];
        CHECK(phi_session_score(other, list + 2, count - 2, later) == PHI_OK);
        CHECK(memcmp(later, scores + 2, (count - 2) * sizeof *later) == 0);
    }
    REFUSED(PHI_ERROR_TOKEN, phi_session_score(other, &huge, 1, scores));
    free(saved);
    free(logits);
    free(again);
    phi_session_close(fork);
    phi_session_close(other);
    phi_session_close(NULL);
}

static void generations(phi_model *model) {
    phi_session *session = open_session(model, 2);
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    phi_generation *text = NULL;
    phi_piece piece = PHI_PIECE_INIT;
    phi_logit_bias bias = {0, -INFINITY};
    phi_token first, huge = 1 << 30;
    const char *stop[] = {"\n"};
    char whole[4096] = "";
    int steps = 0;
    struct {
        phi_generation_options options;
        char tail[8];
    } larger;

    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), NULL, &text) == PHI_OK);
    CHECK(phi_generation_next(text, &piece) == PHI_OK);
    CHECK(isnan(piece.log_probability) && piece.alternatives == NULL && piece.alternative_count == 0);
    first = piece.token;
    phi_generation_end(text);

    /* A call that fails takes no token. */
    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), NULL, &text) == PHI_OK);
    piece.size = 0;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_next(text, &piece));
    piece.size = sizeof piece;
    CHECK(phi_generation_next(text, &piece) == PHI_OK && piece.token == first);
    phi_generation_end(text);

    options.maximum_tokens = 30;
    options.log_probabilities = 3;
    options.stop = stop;
    options.stop_count = 1;
    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &text) == PHI_OK);
    while (phi_generation_next(text, &piece) == PHI_OK) {
        CHECK(strlen(piece.text) == piece.text_length);
        CHECK(piece.alternative_count == 3 && piece.alternatives[0].token == piece.token);
        CHECK(piece.alternatives[0].log_probability == piece.log_probability && piece.log_probability <= 0);
        CHECK(piece.alternatives[2].log_probability <= piece.alternatives[1].log_probability);
        strncat(whole, piece.text, sizeof whole - strlen(whole) - 1);
        steps++;
    }
    CHECK(phi_generation_next(text, &piece) == PHI_END);
    CHECK(steps > 0 && piece.stop == PHI_STOP_STRING && !strchr(whole, '\n'));
    phi_generation_end(text);

    whole[0] = 0;
    options.stop_count = 0;
    options.regex = "[a-c]{2}=(x|yz)";
    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &text) == PHI_OK);
    while (phi_generation_next(text, &piece) == PHI_OK) strncat(whole, piece.text, sizeof whole - strlen(whole) - 1);
    CHECK(piece.stop == PHI_STOP_COMPLETE && strchr("abc", whole[0]) && strchr("abc", whole[1]) && whole[2] == '=');
    CHECK(!strcmp(whole + 3, "x") || !strcmp(whole + 3, "yz"));
    phi_generation_end(text);
    options.json_schema = "{}";
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.regex = NULL;
    options.json_schema = "{\"not\": {}}";
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.json_schema = "{\"const\": [null]}";
    whole[0] = 0;
    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &text) == PHI_OK);
    while (phi_generation_next(text, &piece) == PHI_OK) strncat(whole, piece.text, sizeof whole - strlen(whole) - 1);
    CHECK(!strcmp(whole, "[null]"));
    phi_generation_end(text);
    options.json_schema = NULL;
    options.stop_count = 1;

    bias.token = first;
    options.logit_bias = &bias;
    options.logit_bias_count = 1;
    CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &text) == PHI_OK);
    CHECK(phi_generation_next(text, &piece) == PHI_OK && piece.token != first);
    phi_generation_cancel(text);
    REFUSED(PHI_ERROR_CANCELLED, phi_generation_next(text, &piece));
    REFUSED(PHI_ERROR_CANCELLED, phi_generation_next(text, &piece));
    phi_generation_end(text);

    bias.bias = NAN;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    bias.bias = 0;
    bias.token = huge;
    REFUSED(PHI_ERROR_TOKEN, phi_generation_begin(session, NULL, 0, &options, &text));
    options.logit_bias_count = 0;
    options.temperature = -1;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.temperature = 0;
    options.maximum_tokens = -2;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.maximum_tokens = 1;
    stop[0] = NULL;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    stop[0] = "";
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.stop_count = 0;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(NULL, NULL, 0, &options, &text));
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 1, &options, &text));
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, NULL));

    /* A program of a later version, whose structure has more at its end. */
    memset(&larger, 0, sizeof larger);
    larger.options = options;
    larger.options.size = sizeof larger;
    CHECK(phi_generation_begin(session, NULL, 0, &larger.options, &text) == PHI_OK);
    CHECK(phi_generation_next(text, &piece) == PHI_OK && piece.stop == PHI_STOP_MAXIMUM_TOKENS);
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_next(text, NULL));
    phi_generation_end(text);
    larger.tail[3] = 1;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &larger.options, &text));

    CHECK(phi_generation_begin(session, &huge, 1, &options, &text) == PHI_OK);
    REFUSED(PHI_ERROR_TOKEN, phi_generation_next(text, &piece));
    phi_session_close(session); /* before its generation */
    phi_generation_end(text);
    phi_generation_end(NULL);
    phi_generation_cancel(NULL);
}

/* A generation whose session another call changes says so. */
static void superseded(phi_model *model) {
    phi_session *session = open_session(model, 1);
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    phi_piece piece = PHI_PIECE_INIT;
    phi_token token = 1;
    size_t count = 0;
    int change;
    options.maximum_tokens = 20;
    options.ignore_end_of_text = 1;
    for (change = 0; change < 4; change++) {
        phi_generation *first = NULL, *second = NULL;
        CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &first) == PHI_OK);
        CHECK(phi_generation_next(first, &piece) == PHI_OK && phi_generation_next(first, &piece) == PHI_OK);
        CHECK(phi_session_tokens(session, NULL, 0, &count) == PHI_ERROR_ROOM);
        if (change == 0) {
            CHECK(phi_generation_begin_text(session, "x", 1, &options, &second) == PHI_OK);
            CHECK(phi_generation_next(second, &piece) == PHI_OK);
        }
        if (change == 1) CHECK(phi_session_append(session, &token, 1) == PHI_OK);
        if (change == 2) CHECK(phi_session_truncate(session, 1) == PHI_OK);
        if (change == 3) CHECK(phi_session_truncate(session, PHI_ALL) == PHI_OK); /* changes nothing */
        if (change < 3) REFUSED(PHI_ERROR_STATE, phi_generation_next(first, &piece));
        else CHECK(phi_generation_next(first, &piece) == PHI_OK);
        if (second) CHECK(phi_generation_next(second, &piece) == PHI_OK);
        phi_generation_end(first);
        phi_generation_end(second);
    }
    options.reserved = 1;
    phi_generation *refused = NULL;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &refused));
    phi_token list[64];
    CHECK(phi_session_truncate(session, 5) == PHI_OK);
    CHECK(phi_session_tokens(session, list, PHI_ALL, &count) == PHI_OK && count == 5); /* room for any number */
    phi_session_close(session);
}

/* A call that fails changes nothing: not even the logits that a score would compute again. */
static void failed_scores(phi_model *model) {
    phi_session *session = open_session(model, 1), *fork = NULL;
    phi_generation *text = NULL;
    phi_piece piece = PHI_PIECE_INIT;
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    phi_token huge = 1 << 30, list[64], token = 1;
    size_t count = 0, needed = 0;
    double scores[64];
    options.ignore_end_of_text = 1;
    CHECK(phi_tokenize(model, prompt, strlen(prompt), 0, list, 64, &count) == PHI_OK);
    CHECK(phi_generation_begin(session, list, count, &options, &text) == PHI_OK);
    CHECK(phi_generation_next(text, &piece) == PHI_OK);
    CHECK(phi_session_fork(session, PHI_ALL, &fork) == PHI_OK && phi_session_append(fork, &token, 1) == PHI_OK);
    REFUSED(PHI_ERROR_STATE, phi_session_logits(session, NULL, 0, &needed));
    REFUSED(PHI_ERROR_TOKEN, phi_session_score(session, &huge, 1, scores));
    REFUSED(PHI_ERROR_TOKEN, phi_session_append(session, &huge, 1));
    REFUSED(PHI_ERROR_STATE, phi_session_logits(session, NULL, 0, &needed));
    CHECK(phi_generation_next(text, &piece) == PHI_OK);
    phi_generation_end(text);
    phi_session_close(fork);
    phi_session_close(session);
}

/* Strings must be UTF-8, and numbers fit what computes with them. */
static void refused_options(phi_model *model) {
    phi_session *session = open_session(model, 1);
    phi_generation *text = NULL;
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    const char *stop[] = {"a", "b\xff"};
    options.stop = stop;
    options.stop_count = 2;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    CHECK(strstr(phi_error_message(), "UTF-8") != NULL);
    options.stop_count = 0;
    options.regex = "a\xc3";
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    CHECK(strstr(phi_error_message(), "UTF-8") != NULL);
    options.regex = NULL;
    options.json_schema = "{\"const\": \"\xed\xa0\x80\"}";
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    CHECK(strstr(phi_error_message(), "UTF-8") != NULL);
    options.json_schema = NULL;
    options.repeat_penalty = 1e-50;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.repeat_penalty = 1e50;
    REFUSED(PHI_ERROR_ARGUMENT, phi_generation_begin(session, NULL, 0, &options, &text));
    options.repeat_penalty = 1;
    CHECK(phi_generation_begin(session, NULL, 0, &options, &text) == PHI_OK);
    phi_generation_end(text);
    phi_session_close(session);
}

/* What completions of this thread are, in tokens and log-probabilities. */
typedef struct {
    phi_model *model;
    int threads;
    phi_token made[2][16];
    double log_probabilities[2][16];
    int constraint_is_refused;
} completions;

static void *complete(void *argument) {
    completions *c = argument;
    phi_session *session = open_session(c->model, c->threads);
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    phi_generation *text = NULL;
    phi_piece piece = PHI_PIECE_INIT;
    int i, n;
    options.maximum_tokens = 16;
    options.ignore_end_of_text = 1;
    options.log_probabilities = 0;
    for (i = 0; i < 2; i++, options.temperature = 0.9) {
        CHECK(phi_generation_begin_text(session, prompt, strlen(prompt), &options, &text) == PHI_OK);
        for (n = 0; phi_generation_next(text, &piece) == PHI_OK && n < 16; n++) {
            c->made[i][n] = piece.token;
            c->log_probabilities[i][n] = piece.log_probability;
        }
        CHECK(n == 16);
        phi_generation_end(text);
    }
    options.regex = "a";
    c->constraint_is_refused = phi_generation_begin(session, NULL, 0, &options, &text) == PHI_ERROR_STATE;
    if (!c->constraint_is_refused) phi_generation_end(text);
    phi_session_close(session);
    return NULL;
}

/* Neither the calling thread's rounding nor its stack changes a result. */
static void callers_threads(phi_model *model) {
    completions expected;
    int threads, kilobytes, i;
    memset(&expected, 0, sizeof expected);
    expected.model = model;
    expected.threads = 1;
    complete(&expected);
    CHECK(!expected.constraint_is_refused);
    for (threads = 1; threads <= 2; threads++) {
        const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
        completions made;
        for (i = 0; i < 3; i++) {
            memset(&made, 0, sizeof made);
            made.model = model;
            made.threads = threads;
            CHECK(fesetround(modes[i]) == 0);
            complete(&made);
            CHECK(fegetround() == modes[i] && fesetround(FE_TONEAREST) == 0);
            CHECK(!memcmp(made.made, expected.made, sizeof made.made));
            CHECK(!memcmp(made.log_probabilities, expected.log_probabilities, sizeof made.log_probabilities));
        }
        for (kilobytes = 64; kilobytes <= 512; kilobytes *= 2) {
            pthread_attr_t attributes;
            pthread_t thread;
            memset(&made, 0, sizeof made);
            made.model = model;
            made.threads = threads;
            CHECK(pthread_attr_init(&attributes) == 0);
            CHECK(pthread_attr_setstacksize(&attributes, (size_t)kilobytes << 10) == 0);
            CHECK(pthread_create(&thread, &attributes, complete, &made) == 0);
            pthread_join(thread, NULL);
            pthread_attr_destroy(&attributes);
            CHECK(!memcmp(made.made, expected.made, sizeof made.made));
            CHECK(made.constraint_is_refused == (kilobytes <= 256));
        }
    }
}

static void *alone(void *argument) {
    CHECK(strcmp(phi_error_message(), "") == 0); /* errors are each thread's own */
    REFUSED(PHI_ERROR_ARGUMENT, phi_session_append(NULL, NULL, 0));
    generations(argument);
    return NULL;
}

int main(int argc, char **argv) {
    phi_model *model = NULL;
    pthread_t threads[2];
    int i;
    if (argc != 3) return 64;
    CHECK(strcmp(phi_error_message(), "") == 0);
    CHECK(phi_version_number() == 1000000 * PHI_VERSION_MAJOR + 1000 * PHI_VERSION_MINOR + PHI_VERSION_PATCH);
    models(argv[1], argv[2]);
    odd_names(argv[1]);
    CHECK(phi_model_open(argv[1], &model) == PHI_OK);
    tokens(model);
    sessions(model);
    speculation(model);
    generations(model);
    superseded(model);
    failed_scores(model);
    refused_options(model);
    callers_threads(model);
    for (i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, alone, model) == 0);
    for (i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    phi_model_close(model);
    puts(failures ? "failed" : "all is well");
    return failures ? 1 : 0;
}
