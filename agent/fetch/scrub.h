/* scrub.h - disks rot. A mirror looks after what it serves: clients refuse a damaged file, so
 * damage means a branch that goes past its mirror. A PC looks after its active set: a damaged one
 * protects less than it says. What is damaged is found, told and had again. A file that was touched
 * since the last run is read again at once, every file once a day and when the agent asks for it.
 */
#ifndef ATALAIA_FETCH_SCRUB_H
#define ATALAIA_FETCH_SCRUB_H

#include "job.h"
#include "served.h"

/* After job_list: removes served files of the catalog that are not what was signed (each is a
 * refusal with rule "damaged" and no source). ERR_CANCELED; errors of our own disk. */
MUST_CHECK enum err scrub_run(struct job *j, struct served *s, struct fault *f);
/* Set mode, when this version is there already: *sound false when it is not what was signed; that
 * is a refusal with rule "damaged" and no source by then. */
MUST_CHECK enum err scrub_set(struct job *j, uint64_t version, bool *sound, struct fault *f);
/* The refusal alone; why names the file. */
void scrub_report(struct job *j, const char *why);
/* At the end of a good run: what is there now is right. all_read: every file of it was hashed. */
void scrub_done(const struct job *j, bool all_read);

#endif
