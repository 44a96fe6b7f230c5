/* download.h - one target into the target folder, under its percent-encoded path. */
#ifndef TUF_CLIENT_DOWNLOAD_H
#define TUF_CLIENT_DOWNLOAD_H

#include "update/tuf.h"
#include "web.h"

/* Does nothing when the right bytes are there already; a wrong download leaves the old file. */
MUST_CHECK enum err download_target(struct tuf *t, struct web *w, const char *base_url,
    const char *dir, const struct tuf_target *target, struct fault *f);

#endif
