/* report.h - what one run did: bytes by kind, every refused file, the final `result` message.
 * Filled by the job's thread, read by the loop's thread after the job has ended. Pure but for
 * memory. */
#ifndef ATALAIA_FETCH_REPORT_H
#define ATALAIA_FETCH_REPORT_H

#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome {
	OUTCOME_FAILED,
	OUTCOME_UPDATED,
	OUTCOME_CURRENT,
	OUTCOME_WAITING,
	OUTCOME_CANCELED,
	OUTCOME_SENT /* send: the drop box of `source` has the file */
};
enum bytes_kind { BYTES_METADATA, BYTES_DELTA, BYTES_FULL, BYTES_KINDS };

#define REPORT_ERRORS 24 /* more are counted, not kept: the message must fit in one childctl line  \
			  */

/* One file that was refused or not had. All text is printable ASCII, cut to the size. */
struct report_error {
	char source[64], url[256], file[128], rule[32], expected[72], got[72], text[320];
	enum err error;
};

struct report {
	enum outcome outcome;
	char feed[256];
	uint64_t version, from, timestamp_version;
	char set[512], set_sha256[65]; /* "" when there is none */
	char source[64], url[256];     /* where the metadata in force came from */
	uint64_t bytes[BYTES_KINDS];   /* content received; a piece fetched twice counts twice */
	uint64_t wire;		       /* content and protocol headers, all transfers */
	uint64_t ms;
	int64_t expires_ms;	 /* of the trusted timestamp; 0 = none */
	int64_t verified_ms;	 /* newest time at which a refresh passed; 0 = never */
	int64_t clock_behind_ms; /* how far this clock is behind the newest verified time */
	bool stale;		 /* the trusted timestamp has expired */
	struct report_error errors[REPORT_ERRORS];
	size_t error_count, errors_dropped;
};

/* What was broken, for report_refuse; members may be NULL. */
struct refusal {
	const char *source, *url, *file;
	const char *rule; /* one word: hash, length, signature, version, expired, name, ... */
	const char *expected, *got;
	enum err error;
	const char *text;
};

void report_init(struct report *r, const char *feed, uint64_t from);
/* Keeps the refusal unless an equal one (source, file, rule) is there, and logs it once. */
void report_refuse(struct report *r, const struct refusal *why);
/* Is there an error of this kind? */
bool report_has(const struct report *r, enum err error);
/* The `result` message of childctl; NULL on no memory. The caller owns it. */
cJSON *report_message(const struct report *r);
const char *outcome_word(enum outcome o);
/* Exit status: 0 updated, current or sent; 3 updated or current, and some source was refused or
 * failed on the way (partial success: the errors say which); 1 otherwise. */
int report_exit(const struct report *r);

#endif
