/* scrub.h - a mirror looks after what it serves. Clients refuse a damaged file, so damage means a
 * branch that goes past its mirror; here it is found, taken away and had again. A file that was
 * touched since the last run is read again at once, every file once a day. */
#ifndef ATALAIA_FETCH_SCRUB_H
#define ATALAIA_FETCH_SCRUB_H

#include "job.h"
#include "served.h"

/* After job_list: removes served files of the catalog that are not what was signed (each is a
 * refusal with rule "damaged" and no source). ERR_CANCELED; errors of our own disk. */
MUST_CHECK enum err scrub_run(struct job *j, struct served *s, struct fault *f);
/* At the end of a run that published: what is there now is right. */
void scrub_done(const struct job *j);

#endif
