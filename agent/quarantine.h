/* quarantine.h - the vault: <state>/quarantine, 0700, a folder for each file taken: `file` (0600)
 * and `meta.json`. Blocking: worker thread or before the loop runs, one thread at a time. A crash
 * at any instruction leaves the file where it was, or in the vault with its metadata, or both;
 * quarantine_open finishes what a crash left half done. */
#ifndef ATALAIA_AGENT_QUARANTINE_H
#define ATALAIA_AGENT_QUARANTINE_H

#include "base/err.h"
#include "base/fault.h"
#include "base/uuid.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct quarantine;

MUST_CHECK enum err quarantine_open(struct quarantine **out, const char *state, struct fault *f);
void quarantine_close(struct quarantine *q); /* NULL is fine */

struct quarantine_request {
	const char *path; /* absolute; no component may be a link */
	const char *signature, *task;
	uint64_t dev, ino; /* what the scan saw; 0, 0: not known */
};
/* Moves the file into the vault and writes its id. ERR_STATE: it is another file now, a link, has
 * more than one name, or is no regular file. */
MUST_CHECK enum err quarantine_take(
    struct quarantine *q, const struct quarantine_request *r, char id[UUID_TEXT], struct fault *f);
/* Puts it back under its old path with its old mode, owner as far as we may. ERR_EXISTS: the path
 * is taken; ERR_NOTFOUND: no such id. */
MUST_CHECK enum err quarantine_restore(struct quarantine *q, const char *id, struct fault *f);
/* Its metadata. ERR_NOTFOUND. */
MUST_CHECK enum err quarantine_find(
    struct quarantine *q, const char *id, cJSON **meta, struct fault *f);
/* Array of metadata objects, oldest first. */
MUST_CHECK enum err quarantine_list(struct quarantine *q, cJSON **out, struct fault *f);

#endif
