/* web.h - blocking downloads with libcurl for tuf-client: http, https and ftp, no redirects, no
 * proxy from the environment, limits counted as bytes come. */
#ifndef TUF_CLIENT_WEB_H
#define TUF_CLIENT_WEB_H

#include "base/err.h"
#include "base/fault.h"

#include <stddef.h>

struct web; /* opaque: one connection cache */

MUST_CHECK enum err web_open(struct web **out, struct fault *f);
void web_close(struct web *w);
/* base and name joined by one '/'. take gets the body piece by piece; what it returns ends the
 * transfer and is returned. ERR_NOTFOUND: HTTP 403, 404, 410 or FTP "no such file". */
MUST_CHECK enum err web_get(struct web *w, const char *base, const char *name,
    enum err (*take)(void *ctx, const void *p, size_t n), void *ctx, struct fault *f);

#endif
