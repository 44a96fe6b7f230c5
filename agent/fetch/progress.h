/* progress.h - what the job is doing, told by its thread and sent by the loop's, at most four times
 * a second. The newest state wins; nothing is queued. */
#ifndef ATALAIA_FETCH_PROGRESS_H
#define ATALAIA_FETCH_PROGRESS_H

#include "base/err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

enum phase {
	PHASE_METADATA,
	PHASE_DOWNLOAD,
	PHASE_DELTA,
	PHASE_VERIFY,
	PHASE_STAGE,
	PHASE_PUBLISH,
	PHASE_SEND
};

struct progress;

/* wake is called in the job's thread when there is news (uv_async_send). */
MUST_CHECK enum err progress_new(struct progress **out, void (*wake)(void *arg), void *arg);
void progress_free(struct progress *p); /* NULL is fine */

/* Job's thread. file and source are copied; NULL keeps what was there. */
void progress_phase(struct progress *p, enum phase phase, const char *file, const char *source);
void progress_amount(struct progress *p, uint64_t done, uint64_t total);

/* Loop's thread: the message; NULL: no news, or too early: ask again in *wait_ms (0: no news). */
cJSON *progress_take(struct progress *p, uint64_t now_ms, unsigned *wait_ms);

#endif
