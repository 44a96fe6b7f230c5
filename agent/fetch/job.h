/* job.h - one run of the program: what all its steps share. Owned by main.c; everything here is
 * used by the job's thread only, but for `cancel`, the downloader's cancel and progress. */
#ifndef ATALAIA_FETCH_JOB_H
#define ATALAIA_FETCH_JOB_H

#include "catalog.h"
#include "config.h"
#include "download.h"
#include "objects.h"
#include "progress.h"
#include "report.h"

#include "base/limits.h"
#include "update/tuf.h"

#include <stdatomic.h>

/* A document that a mirror publishes as it came. */
struct document {
	char *file; /* its name in the repository */
	char *role;
	uint64_t version;
	struct buf bytes;
};

struct documents {
	struct document *list;
	size_t count;
};

struct job {
	const struct fetch_config *config;
	struct report *report;
	struct progress *progress;
	struct downloader *downloader;
	atomic_bool cancel;

	struct tuf *tuf;
	struct objects objects;
	struct catalog catalog;
	struct documents documents; /* mirror only */
	size_t source;		    /* whose metadata is in force: asked first for targets */
	unsigned strikes[LIMIT_FETCH_SOURCES]; /* transfer.c: failures of each source in this run */
	bool proven[LIMIT_FETCH_SOURCES];      /* it brought something */
	uint64_t received;		       /* by the downloader so far */
	uint64_t batch_from, batch_bytes;      /* of job_transfer: where it began, what it wants */
	bool waiting; /* nothing failed, but nothing can be done before something changes */

	/* Mode: where content is that was here before. Path of content with this hash. */
	enum err (*find_held)(
	    struct job *j, const uint8_t sha256[SHA_LEN], char *path, size_t size);
	void *mode;
};

/* Loop's thread, before the job's: borrows all four until job_end. */
MUST_CHECK enum err job_start(struct job *j, const struct fetch_config *c, struct report *r,
    struct progress *p, struct fault *f);
/* Runs to the end in the calling thread and fills the report. */
void job_run(struct job *j);
/* Any thread, between job_start and job_end. */
void job_cancel(struct job *j);
/* Loop's thread, after job_run has returned. */
void job_end(struct job *j);

/* ---- steps, each in the file of its name ---- */

/* bundle.c: unpacks the configured bundle below the work folder, where the source is. */
MUST_CHECK enum err job_unpack(struct job *j, struct fault *f);
void job_unpacked_remove(struct job *j);

/* refresh.c: opens the store and brings the metadata up to date from the first source that can. */
MUST_CHECK enum err job_open_tuf(struct job *j, struct fault *f);
MUST_CHECK enum err job_refresh(struct job *j, struct fault *f);
/* One document of a source's metadata folder, by the rules of struct tuf_source. */
MUST_CHECK enum err job_fetch_document(
    struct job *j, size_t source, const char *name, size_t max, struct buf *out, struct fault *f);
/* Fills the catalog; loads delegated roles. */
MUST_CHECK enum err job_list(struct job *j, struct fault *f);

/* transfer.c: one file that is to be an object. */
struct want {
	const struct entry *first; /* compressed copy of `entry`, tried before it; or NULL */
	const struct entry *entry;
	enum bytes_kind kind;
	const struct entry *got; /* answer: which of the two is an object now; NULL: neither */
	bool given_up;		 /* job_transfer's own: not again at this source in this stage */
};
/* Gets all it can, from all sources in turn. OK also when some could not be had (got == NULL,
 * errors in the report); ERR_CANCELED; ERR_NOSPACE and other errors of our own disk. */
MUST_CHECK enum err job_transfer(struct job *j, struct want *wants, size_t n, struct fault *f);

/* obtain.c: makes every entry of the list an object or finds it held. ERR_AGAIN: deltas are
 * required and missing; ERR_NOTFOUND: some could not be had from any source. */
MUST_CHECK enum err job_obtain(
    struct job *j, const struct entry *const *list, size_t n, bool had_set, struct fault *f);
/* ERR_NOSPACE unless so many bytes fit and the floor stays free. A mirror without a configured
 * floor leaves LIMIT_FETCH_FLOOR or a tenth of the disk, whichever is smaller. */
MUST_CHECK enum err job_space(struct job *j, uint64_t need, struct fault *f);
/* Path of content: an object, or held. ERR_NOTFOUND. */
MUST_CHECK enum err job_find(struct job *j, const uint8_t sha256[SHA_LEN], char *path, size_t size);

/* Records a refusal; `source` is an index. */
void job_refuse(struct job *j, size_t source, const char *file, const char *rule, enum err error,
    const char *text);
void job_refuse_failure(struct job *j, size_t source, const struct tuf_failure *why);

/* setmode.c, mirror.c */
MUST_CHECK enum err job_set(struct job *j, struct fault *f);
MUST_CHECK enum err job_mirror(struct job *j, struct fault *f);

/* send.c: the file goes to the first drop box that takes it; a source that refuses is in the
 * report. ERR_UNREACHABLE: none took it. */
MUST_CHECK enum err job_send(struct job *j, struct fault *f);

/* documents.c */
void documents_free(struct documents *d);
MUST_CHECK enum err documents_add(struct documents *d, const struct tuf_document *doc);

#endif
