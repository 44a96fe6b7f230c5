/* documents.h - the metadata that a mirror hands on byte for byte. Job's thread. */
#ifndef ATALAIA_FETCH_DOCUMENTS_H
#define ATALAIA_FETCH_DOCUMENTS_H

#include "job.h"
#include "served.h"

/* Gets and checks the roots before ours that the served folder lacks, so that clients of any age
 * find their way. What the source does not have stays missing: only ERR_CANCELED and ERR_NOMEM are
 * errors. */
MUST_CHECK enum err documents_older_roots(struct job *j, const struct served *s);
/* Delegated roles, targets, snapshot, roots, timestamp last; the folder synced after each. */
MUST_CHECK enum err documents_publish(struct job *j, const struct served *s, bool *changed,
    struct fault *f);

#endif
