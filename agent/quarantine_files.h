/* quarantine_files.h - the vault's files and folders. For quarantine.c only. */
#ifndef ATALAIA_AGENT_QUARANTINE_FILES_H
#define ATALAIA_AGENT_QUARANTINE_FILES_H

#include "base/err.h"
#include "base/fault.h"
#include "base/uuid.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define VAULT_META_MAX 131072 /* a path of 16 KiB, escaped, twice */
#define VAULT_SHA256 65

struct vault_place {
	int dir; /* of the file, -1: none */
	char name[256];
};
/* The folder of an absolute path, no component of which may be a link. */
MUST_CHECK enum err vault_place_open(struct vault_place *p, const char *path, struct fault *f);
void vault_place_close(struct vault_place *p);

MUST_CHECK enum err vault_add_path(cJSON *meta, const char *path);
MUST_CHECK enum err vault_add_stat(cJSON *meta, const struct stat *st);
struct vault_meta {
	char *path;
	uint32_t mode, uid, gid;
	uint64_t dev, ino;
	bool copied; /* taken by copy: the original may still be there after a crash */
};
MUST_CHECK enum err vault_meta_read(int item, struct vault_meta *m, struct fault *f);
void vault_meta_free(struct vault_meta *m);

MUST_CHECK enum err vault_hash(int fd, char hex[VAULT_SHA256], struct fault *f);
/* Copies all of fd to a new file, fsynced; nothing is left on failure. */
MUST_CHECK enum err vault_copy(int fd, int dir, const char *name, unsigned mode, struct fault *f);
/* To another file system: a new name first, then the old one, which must be free. */
MUST_CHECK enum err vault_copy_back(
    int fd, const struct vault_place *to, const struct vault_meta *m, struct fault *f);
void vault_old_mode(int fd, const struct vault_meta *m); /* mode, owner as far as we may */

/* The metadata as it is written. ERR_NOTFOUND. */
MUST_CHECK enum err vault_find(int vault, const char *id, cJSON **meta, struct fault *f);
/* Finishes or undoes what a crash left under this name; see quarantine.c. */
void vault_settle(int vault, const char *name);
MUST_CHECK enum err vault_settle_all(int vault, struct fault *f);
MUST_CHECK enum err vault_list(int vault, cJSON **out, struct fault *f);

#endif
