/* retention.h - what a mirror may forget. A snapshot is kept while it is among the `keep` newest or
 * was replaced less than `grace_s` ago; what a kept snapshot names, directly or through its targets
 * documents, stays. Roots stay for ever. A file younger than the grace time stays in any case. */
#ifndef ATALAIA_FETCH_RETENTION_H
#define ATALAIA_FETCH_RETENTION_H

#include "served.h"

/* Blocking. Nothing here may fail a sync that has published: on doubt everything stays, and the log
 * says why. Targets go before the documents that name them, so that a killed run is made good by
 * the next. `s` may list files from before this run. */
void retention_run(const struct served *s, uint32_t keep, uint64_t grace_s);

#endif
