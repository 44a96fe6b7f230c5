/* http_files.h - the HTTP port: GET and HEAD of files below the root, single ranges, conditional
 * requests. No listings, no drop box. Loop thread. */
#ifndef ATALAIA_UA_HTTP_FILES_H
#define ATALAIA_UA_HTTP_FILES_H

#include "files.h"
#include "options.h"

#include "net/httpd.h"

struct http_files;
MUST_CHECK enum err http_files_new(struct http_files **out, uv_loop_t *loop,
    const struct options *o, struct files *files, struct fault *f);
MUST_CHECK enum err http_files_listen(
    struct http_files *, const char *host, uint16_t port, uint16_t *real, struct fault *f);
struct httpd_stats http_files_stats(const struct http_files *);
/* Running answers get drain_ms. closed is the last call; freed after it. */
void http_files_close(struct http_files *, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx);

#endif
