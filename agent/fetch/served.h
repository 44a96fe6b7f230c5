/* served.h - the tree that a mirror serves: what is in it, by hash, and how files get into it.
 * Blocking; only atalaia-fetch writes there. Nothing is overwritten in place and nothing is made
 * there but by rename, so a reader finds whole files only (DESIGN section 5). */
#ifndef ATALAIA_FETCH_SERVED_H
#define ATALAIA_FETCH_SERVED_H

#include "catalog.h"
#include "objects.h"

struct served_file {
	uint8_t sha256[SHA_LEN];
	uint64_t size;
	char *path; /* absolute */
	bool unusable;
};

struct served {
	char metadata[OBJECT_PATH], targets[OBJECT_PATH];
	struct served_file *files; /* sorted by hash */
	size_t count;
};

/* Makes the folders when absent and lists targets/. */
MUST_CHECK enum err served_open(struct served *s, const char *root, const char *feed,
    struct fault *f);
void served_close(struct served *s);
/* NULL when there is none. */
const struct served_file *served_find(const struct served *s, const uint8_t sha256[SHA_LEN]);
/* The content is not usable: served_find will not answer it. */
void served_forget(struct served *s, const uint8_t sha256[SHA_LEN]);
/* Is the entry there under its own name, with its length? */
bool served_has(const struct served *s, const struct entry *e);

/* Gives `from` (synced, any place on the same file system) the entry's name; folders are made. The
 * folder is not synced: served_sync does all. */
MUST_CHECK enum err served_put(const struct served *s, const struct objects *o,
    const struct entry *e, const char *from, struct fault *f);
/* Syncs the folders of these entries. */
MUST_CHECK enum err served_sync(const struct served *s, const struct entry *const *list, size_t n,
    struct fault *f);
/* Puts a document into metadata/ unless the same bytes are there: *changed. Folder not synced. */
MUST_CHECK enum err served_put_document(const struct served *s, const struct objects *o,
    const char *file, const void *p, size_t n, bool *changed, struct fault *f);

#endif
