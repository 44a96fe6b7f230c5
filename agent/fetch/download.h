/* download.h - blocking transfers (downloads, and uploads into a drop box) over FTP, HTTP and
 * HTTPS: several at once, with a limit each, resume, one rate for all, stall and total deadlines,
 * and cancellation from another thread within a second. One downloader per run, used by one thread;
 * only download_cancel is for other threads. Nothing received here is believed: the caller
 * verifies. */
#ifndef ATALAIA_FETCH_DOWNLOAD_H
#define ATALAIA_FETCH_DOWNLOAD_H

#include "rate.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct downloader;

struct downloader_options {
	uint64_t rate_limit; /* bytes/s over all transfers, 0 = none */
	uint64_t stall_ms;   /* under LIMIT_FETCH_SLOW bytes/s for so long: ERR_TIMEOUT */
	const char *proxy;   /* NULL: none. Borrowed */
	/* Called in the downloader's thread with the bytes received so far over all transfers. May
	 * be NULL. */
	void (*progress)(void *arg, uint64_t total);
	void *arg;
};

struct download {
	/* what to get */
	char url[1024];
	struct buf *buf; /* into memory (appended), or */
	int fd; /* into this file at `offset`; it is cut there when the server cannot resume */
	uint64_t offset; /* bytes that are there already */
	bool upload;	 /* the other way: fd is read from its start, `limit` bytes, by FTP only */
	bool resume;	 /* an upload: the server is asked how much it has, the rest is sent */
	uint64_t limit;	 /* one byte more than this, offset included, ends it: ERR_TOOBIG */
	/* answers */
	enum err result;
	long code;	   /* last reply code of HTTP or FTP, 0 = none */
	uint64_t received; /* content bytes of this transfer (sent ones of an upload); the file
			      holds offset + received */
	uint64_t wire;	   /* content and headers as far as libcurl counts them */
	char text[200];	   /* why, for people */
	bool restarted;	   /* the server could not resume: the file begins at 0 */
};

MUST_CHECK enum err downloader_new(struct downloader **out, const struct downloader_options *o);
void downloader_free(struct downloader *d); /* NULL is fine */
/* Any thread, any number of times: running and later transfers end with ERR_CANCELED. */
void downloader_cancel(struct downloader *d);

/* Runs all n to their end. Each item has its own result; the return value is ERR_CANCELED,
 * ERR_NOMEM, or OK. A failed transfer leaves what it received in place, for a resume. */
MUST_CHECK enum err downloader_run(struct downloader *d, struct download *items, size_t n);

#endif
