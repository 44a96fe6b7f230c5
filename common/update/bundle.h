/* bundle.h - a feed in one file, for places that no line reaches: a pack (pack.h) whose members are
 *   <feed>/metadata/<document>   timestamp.json and N.<role>.json, byte for byte as published
 *   <feed>/targets/<sha256>      content by its hash; its names come from the signed metadata
 * A bundle vouches for nothing. Who reads one keeps it to this form and then treats what came as
 * the answers of one more mirror. Pure: bytes in, members out. */
#ifndef ATALAIA_UPDATE_BUNDLE_H
#define ATALAIA_UPDATE_BUNDLE_H

#include "base/err.h"
#include "base/fault.h"
#include "update/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUNDLE_FILE 101 /* the last part of a pack's name, and a NUL */

struct bundle_member {
	bool target;		/* else a document */
	char file[BUNDLE_FILE]; /* document's name, or the hash as text */
	uint8_t sha256[HASH_SHA256_LEN];
	uint64_t size;
};

struct bundle_sink {
	enum err (*begin)(void *arg, const struct bundle_member *m);
	enum err (*data)(void *arg, const uint8_t *p, size_t n);
	/* The member is whole, and a target has the hash that is its name. */
	enum err (*end)(void *arg, const struct bundle_member *m);
};

struct bundle_reader;

/* feed must live as long as the reader. */
MUST_CHECK enum err bundle_reader_new(
    struct bundle_reader **out, const char *feed, const struct bundle_sink *sink, void *arg);
/* ERR_PARSE: not this form; ERR_TOOBIG; ERR_VERIFY: content under another hash's name; or what the
 * sink returned. */
MUST_CHECK enum err bundle_reader_feed(
    struct bundle_reader *r, const void *p, size_t n, struct fault *f);
/* ERR_PARSE when it is cut, or has no timestamp.json. */
MUST_CHECK enum err bundle_reader_end(struct bundle_reader *r, struct fault *f);
void bundle_reader_free(struct bundle_reader *r); /* NULL is fine */

#endif
