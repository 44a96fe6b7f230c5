/* clamd.h - clamd's protocol (clamd(8), z-form: requests and replies end with NUL) as pure
 * functions. Used by the agent and by atalaia-scan. */
#ifndef ATALAIA_PROTO_CLAMD_H
#define ATALAIA_PROTO_CLAMD_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAMD_NAME 256 /* of a signature, NUL included */

enum clamd_kind {
	CLAMD_CLEAN,  /* "stream: OK" */
	CLAMD_FOUND,  /* "fd[7]: Eicar-Test FOUND" */
	CLAMD_FAILED, /* "... ERROR" and every refusal */
	CLAMD_PONG,
	CLAMD_RELOADING,
	CLAMD_VERSION, /* "ClamAV 1.0.7/27000/Mon ..." */
	CLAMD_OTHER,
};

struct clamd_reply {
	enum clamd_kind kind;
	bool has_id; /* of a session: "12: stream: OK" */
	uint32_t id;
	char text[CLAMD_NAME]; /* signature, version or what went wrong; control bytes as \xHH */
};

/* One reply without its NUL (a trailing newline is ignored). session: an id must be in front.
 * ERR_PARSE: empty, or no id where one must be. */
MUST_CHECK enum err clamd_parse(struct clamd_reply *out, const char *p, size_t n, bool session);

/* A reply that names a path, as those of SCAN, CONTSCAN and MULTISCAN: *path is where it is in p,
 * path_len 0 when the reply names none. kind and text as by clamd_parse. */
MUST_CHECK enum err clamd_parse_path(
    struct clamd_reply *out, const char *p, size_t n, size_t *path_len);

/* The reply to STATS. Members that clamd does not tell are 0. ERR_PARSE: it is no such reply. */
struct clamd_stats {
	uint64_t memory; /* bytes: its signatures, and its heap where it knows that */
	uint32_t threads, threads_max, queue;
};
MUST_CHECK enum err clamd_stats_parse(struct clamd_stats *out, const char *p, size_t n);

/* Is this the marker of that feed's version, with or without clamd's ".UNOFFICIAL"? */
bool clamd_is_marker(const char *signature, const char *feed, uint64_t version);
MUST_CHECK enum err clamd_marker_content(struct buf *out, const char *feed, uint64_t version);

/* "zINSTREAM", the content in chunks, the end. */
MUST_CHECK enum err clamd_instream(struct buf *out, const void *p, size_t n);

/* The value of an option in the text of a clamd.conf, without quotes; the last one counts. False:
 * not there, or longer than size. */
bool clamd_conf_value(const char *text, const char *name, char *out, size_t size);
/* The configuration in the command line of a clamd (words, each with its NUL, an empty one ends);
 * NULL: its built-in one. */
const char *clamd_conf_argument(const char *args);

/* The EICAR test file, put together here so that no program of ours holds it. */
MUST_CHECK enum err clamd_eicar(struct buf *out);
/* Content that no signature may hit. */
MUST_CHECK enum err clamd_clean_sample(struct buf *out);

#endif
