/* HTTP requests by libcurl. The library is loaded when it is first needed, so that no program that sends none pays for it at
 * its start, or needs it installed. */
#ifndef CPHIHTTP_H
#define CPHIHTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection that requests reuse. For one thread at a time. */
typedef struct phi_http phi_http;

/* Returns NULL if libcurl is not installed, or is older than 7.62. */
phi_http *phi_http_open(void);
void phi_http_close(phi_http *http);

typedef enum {
    PHI_HTTP_DONE,          /* an answer of any status, whole */
    PHI_HTTP_STOPPED,       /* a callback returned false */
    PHI_HTTP_UNKNOWN_HOST,  /* no address for the name */
    PHI_HTTP_NO_CONNECTION, /* nobody answers at the address */
    PHI_HTTP_BROKEN,        /* the connection ended early, stood still or broke the protocol */
    PHI_HTTP_INSECURE,      /* TLS failed */
    PHI_HTTP_IMPOSSIBLE,    /* no such address, or a fault of libcurl */
} phi_http_outcome;

typedef struct {
    const char *url;
    const char *const *headers; /* lines, then NULL */
    const void *content;        /* what is posted; NULL for a GET request */
    size_t content_size;
    const char *certificates;   /* a file of trusted certificates instead of the system's, or NULL */
    long patience;              /* seconds that nothing may arrive */
    long limit;                 /* seconds for the whole answer, or 0 */
    void *context;
    /* Each returns whether to go on; the last is asked about once a second, and more often while bytes arrive. */
    bool (*header)(void *context, const char *line, size_t length);
    bool (*body)(void *context, const void *bytes, size_t length);
    bool (*should_continue)(void *context);
} phi_http_request;

typedef struct {
    phi_http_outcome outcome;
    /* Both are valid until the next request. */
    const char *message;  /* libcurl's, about an outcome that is not DONE or STOPPED */
    const char *redirect; /* the address that a redirect leads to, absolute; NULL if there is none */
} phi_http_answer;

/* Sends a request. Redirects are not followed. */
phi_http_answer phi_http_send(phi_http *http, const phi_http_request *request);

/* Writes scheme, host and port of an address as libcurl understands it, "https://huggingface.co:443". Returns false if it is not
 * one of HTTP or does not fit. */
bool phi_http_origin(phi_http *http, const char *url, char *origin, size_t size);

/* Returns the seconds since 1970 of a date in a header, or -1 if it is none. */
int64_t phi_http_date(phi_http *http, const char *text);

#endif
