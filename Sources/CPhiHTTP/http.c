#define _POSIX_C_SOURCE 200809L /* strdup */
#include "CPhiHTTP.h"
#include "curl_abi.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* libcurl's functions, by the ends of their names. */
typedef struct {
    int (*global_init)(long);
    void *(*easy_init)(void);
    void (*easy_reset)(void *);
    int (*easy_setopt)(void *, int, ...);
    int (*easy_perform)(void *);
    int (*easy_getinfo)(void *, int, ...);
    void (*easy_cleanup)(void *);
    const char *(*easy_strerror)(int);
    void *(*slist_append)(void *, const char *);
    void (*slist_free_all)(void *);
    void *(*url)(void);
    int (*url_set)(void *, int, const char *, unsigned);
    int (*url_get)(void *, int, char **, unsigned);
    void (*url_cleanup)(void *);
    void (*free)(void *);
    time_t (*getdate)(const char *, const time_t *);
} curl_functions;

struct phi_http {
    void *easy;
    curl_functions curl;
    char error[ABI_ERROR_SIZE];
    char *redirect;
};

static void *open_library(void) {
#if defined(__APPLE__)
    static const char *const names[] = {"libcurl.4.dylib"};
#else
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
#endif
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

static bool find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static bool find_all(void *library, curl_functions *curl) {
    return find(library, "curl_global_init", &curl->global_init) && find(library, "curl_easy_init", &curl->easy_init) &&
           find(library, "curl_easy_reset", &curl->easy_reset) && find(library, "curl_easy_setopt", &curl->easy_setopt) &&
           find(library, "curl_easy_perform", &curl->easy_perform) && find(library, "curl_easy_getinfo", &curl->easy_getinfo) &&
           find(library, "curl_easy_cleanup", &curl->easy_cleanup) &&
           find(library, "curl_easy_strerror", &curl->easy_strerror) &&
           find(library, "curl_slist_append", &curl->slist_append) &&
           find(library, "curl_slist_free_all", &curl->slist_free_all) && find(library, "curl_url", &curl->url) &&
           find(library, "curl_url_set", &curl->url_set) && find(library, "curl_url_get", &curl->url_get) &&
           find(library, "curl_url_cleanup", &curl->url_cleanup) && find(library, "curl_free", &curl->free) &&
           find(library, "curl_getdate", &curl->getdate);
}

/* The library stays loaded: it may have started threads. */
phi_http *phi_http_open(void) {
    void *library = open_library();
    phi_http *http = calloc(1, sizeof *http);
    if (library && http && find_all(library, &http->curl) && http->curl.global_init(ABI_GLOBAL_DEFAULT) == ABI_E_OK) {
        http->easy = http->curl.easy_init();
        if (http->easy) return http;
    }
    free(http);
    return NULL;
}

void phi_http_close(phi_http *http) {
    if (!http) return;
    http->curl.easy_cleanup(http->easy);
    free(http->redirect);
    free(http);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
    const phi_http_request *request = context;
    return request->header(request->context, bytes, size * count) ? size * count : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    const phi_http_request *request = context;
    return request->body(request->context, bytes, size * count) ? size * count : 0;
}

static int on_progress(void *context, int64_t total, int64_t done, int64_t to_send, int64_t sent) {
    (void)total, (void)done, (void)to_send, (void)sent;
    const phi_http_request *request = context;
    return !request->should_continue(request->context);
}

static phi_http_outcome outcome(int code) {
    switch (code) {
    case ABI_E_OK: return PHI_HTTP_DONE;
    case ABI_E_WRITE_ERROR:
    case ABI_E_ABORTED_BY_CALLBACK: return PHI_HTTP_STOPPED;
    case ABI_E_COULDNT_RESOLVE_PROXY:
    case ABI_E_COULDNT_RESOLVE_HOST: return PHI_HTTP_UNKNOWN_HOST;
    case ABI_E_COULDNT_CONNECT: return PHI_HTTP_NO_CONNECTION;
    case ABI_E_WEIRD_SERVER_REPLY:
    case ABI_E_HTTP2:
    case ABI_E_PARTIAL_FILE:
    case ABI_E_OPERATION_TIMEDOUT:
    case ABI_E_GOT_NOTHING:
    case ABI_E_SEND_ERROR:
    case ABI_E_RECV_ERROR:
    case ABI_E_HTTP2_STREAM:
    case ABI_E_HTTP3: return PHI_HTTP_BROKEN;
    case ABI_E_SSL_CONNECT_ERROR:
    case ABI_E_SSL_CERTPROBLEM:
    case ABI_E_SSL_CIPHER:
    case ABI_E_PEER_FAILED_VERIFICATION:
    case ABI_E_SSL_CACERT_BADFILE:
    case ABI_E_SSL_ISSUER_ERROR: return PHI_HTTP_INSECURE;
    default: return PHI_HTTP_IMPOSSIBLE;
    }
}

phi_http_answer phi_http_send(phi_http *http, const phi_http_request *request) {
    const curl_functions *curl = &http->curl;
    void *easy = http->easy, *lines = NULL;
    phi_http_answer answer = {PHI_HTTP_IMPOSSIBLE, "out of memory", NULL};
    for (const char *const *line = request->headers; *line; line++) {
        void *longer = curl->slist_append(lines, *line);
        if (!longer) {
            curl->slist_free_all(lines);
            return answer;
        }
        lines = longer;
    }
    curl->easy_reset(easy); /* keeps open connections */
    http->error[0] = 0;
    int code = curl->easy_setopt(easy, ABI_OPT_URL, request->url);
    if (!code) code = curl->easy_setopt(easy, ABI_OPT_PROTOCOLS, (long)(ABI_PROTO_HTTP | ABI_PROTO_HTTPS));
    if (!code && request->content) {
        code = curl->easy_setopt(easy, ABI_OPT_POSTFIELDSIZE, (long)request->content_size);
        if (!code) code = curl->easy_setopt(easy, ABI_OPT_POSTFIELDS, request->content);
    }
    if (!code && request->certificates) code = curl->easy_setopt(easy, ABI_OPT_CAINFO, request->certificates);
    if (!code) {
        curl->easy_setopt(easy, ABI_OPT_ERRORBUFFER, http->error);
        curl->easy_setopt(easy, ABI_OPT_HTTPHEADER, lines);
        curl->easy_setopt(easy, ABI_OPT_NOSIGNAL, 1L);
        curl->easy_setopt(easy, ABI_OPT_SUPPRESS_CONNECT_HEADERS, 1L);
        curl->easy_setopt(easy, ABI_OPT_BUFFERSIZE, 1L << 18);
        curl->easy_setopt(easy, ABI_OPT_CONNECTTIMEOUT, request->patience);
        curl->easy_setopt(easy, ABI_OPT_LOW_SPEED_TIME, request->patience);
        curl->easy_setopt(easy, ABI_OPT_LOW_SPEED_LIMIT, 1L);
        curl->easy_setopt(easy, ABI_OPT_TIMEOUT, request->limit);
        curl->easy_setopt(easy, ABI_OPT_HEADERFUNCTION, on_header);
        curl->easy_setopt(easy, ABI_OPT_HEADERDATA, request);
        curl->easy_setopt(easy, ABI_OPT_WRITEFUNCTION, on_body);
        curl->easy_setopt(easy, ABI_OPT_WRITEDATA, request);
        curl->easy_setopt(easy, ABI_OPT_XFERINFOFUNCTION, on_progress);
        curl->easy_setopt(easy, ABI_OPT_XFERINFODATA, request);
        curl->easy_setopt(easy, ABI_OPT_NOPROGRESS, 0L);
        code = curl->easy_perform(easy);
    }
    answer.outcome = outcome(code);
    answer.message = *http->error ? http->error : curl->easy_strerror(code);
    char *redirect = NULL;
    curl->easy_getinfo(easy, ABI_INFO_REDIRECT_URL, &redirect);
    free(http->redirect);
    http->redirect = redirect ? strdup(redirect) : NULL;
    answer.redirect = http->redirect;
    curl->easy_reset(easy);
    curl->slist_free_all(lines);
    return answer;
}

bool phi_http_origin(phi_http *http, const char *url, char *origin, size_t size) {
    const curl_functions *curl = &http->curl;
    void *parsed = curl->url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool fits = false;
    if (parsed && !curl->url_set(parsed, 0, url, 0) && !curl->url_get(parsed, ABI_UPART_SCHEME, &scheme, 0) &&
        !curl->url_get(parsed, ABI_UPART_HOST, &host, 0) && !curl->url_get(parsed, ABI_UPART_PORT, &port, ABI_U_DEFAULT_PORT) &&
        (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https")) &&
        strlen(scheme) + strlen(host) + strlen(port) + 5 <= size) {
        strcpy(origin, scheme);
        strcat(strcat(origin, "://"), host);
        strcat(strcat(origin, ":"), port);
        for (char *c = origin; *c; c++)
            if (*c >= 'A' && *c <= 'Z') *c += 'a' - 'A';
        fits = true;
    }
    curl->free(scheme);
    curl->free(host);
    curl->free(port);
    if (parsed) curl->url_cleanup(parsed);
    return fits;
}

int64_t phi_http_date(phi_http *http, const char *text) { return http->curl.getdate(text, NULL); }
