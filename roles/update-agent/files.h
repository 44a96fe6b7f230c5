/* files.h - opening, looking at and listing files below the served root, for FTP and HTTP. Names
 * are confined by openat2. What the kernel has in memory is answered at once in the loop; anything
 * that could wait for the disk goes to a worker. */
#ifndef ATALAIA_UA_FILES_H
#define ATALAIA_UA_FILES_H

#include "ftp_session.h"

#include "base/fault.h"

#include <uv.h>

struct files; /* the root */
MUST_CHECK enum err files_open_root(
    struct files **out, const char *root, bool dropbox, struct fault *f);
void files_close(struct files *);
int files_root_fd(const struct files *);

enum files_op { FILES_OPEN, FILES_LOOK, FILES_LIST };

/* One question. The caller owns it and keeps it until `done` was called or files_ask returned true.
 */
struct files_job {
	uv_work_t work;
	struct files *files;
	enum files_op op;
	enum ftp_listing listing; /* FILES_LIST */
	uint8_t facts;
	char *path;   /* below the root, "" = root; copied by files_ask, freed by files_job_clear */
	char *prefix; /* FILES_LIST, LISTING_NAMES: put in front of each name; may be NULL */
	void (*done)(struct files_job *job);
	void *ctx;

	/* the answer */
	enum err e; /* ERR_NOTFOUND: absent, hidden or not readable; ERR_TOOBIG: long listing */
	int fd;	    /* FILES_OPEN: a regular file open for reading, the caller's now; else -1 */
	bool is_folder;
	uint64_t size;
	int64_t mtime, mtime_ns;
	uint64_t inode;
	struct buf text; /* FILES_LIST */
};

/* True: answered now, `done` is not called. False: `done` will be called from the loop. */
bool files_ask(struct files *, uv_loop_t *loop, struct files_job *job, const char *path);
void files_job_clear(struct files_job *job); /* frees strings and text, not the descriptor */

#endif
