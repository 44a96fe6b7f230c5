/* scan.h - one scan from the first file to the result. scan_run blocks in its own thread; messages
 * leave by the outbox. */
#ifndef ATALAIA_SCAN_SCAN_H
#define ATALAIA_SCAN_SCAN_H

#include "base/fault.h"
#include "config.h"
#include "outbox.h"
#include "walk.h"

#include <stdatomic.h>

struct scan {
	const struct scan_config *c;
	struct outbox *out;
	atomic_bool stop;
	struct walk *walk;
	uint64_t files, bytes, found, unreadable, told, began, progress_ms, taken_ms;
	enum err err; /* OK done, ERR_CANCELED, else failed */
	struct fault fault;
};

void scan_init(struct scan *s, const struct scan_config *c, struct outbox *out);
void scan_run(struct scan *s);
void scan_cancel(struct scan *s);	  /* any thread */
cJSON *scan_result(const struct scan *s); /* after scan_run; NULL on no memory */

/* --- for the two ways to scan --- */
/* The next file, or NULL-path at the end or when the scan must stop. */
bool scan_next(struct scan *s, struct walk_file *f);
void scan_clean(struct scan *s, struct walk_file *f);
void scan_found(struct scan *s, struct walk_file *f, const char *signature);
void scan_failed(struct scan *s, struct walk_file *f, const char *error); /* this file only */
/* Each of the three closes the descriptor and frees the path. */
void scan_by_clamd(struct scan *s);
void scan_by_tree(struct scan *s); /* clamd walks: CONTSCAN, MULTISCAN */
void scan_by_command(struct scan *s);

#endif
