/* detection.h - the data of a detection event, with the names of OCSF 1.3, class 2004 "Detection
 * Finding" (schema.ocsf.io). Pure. detection.schema.json beside this file says the same as a JSON
 * schema. */
#ifndef ATALAIA_AGENT_DETECTION_H
#define ATALAIA_AGENT_DETECTION_H

#include "base/uuid.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct detection {
	const char *uid; /* of this finding, a UUID */
	const char *path, *signature;
	const char *sha256; /* NULL: not known */
	uint64_t size;
	int64_t mtime_s, time_ms; /* mtime 0: not known */
	const char *engine, *engine_version;
	const char *task;	      /* NULL: none */
	const char *quarantine;	      /* id in the vault, NULL: the file is where it was */
	const char *quarantine_error; /* why it is, NULL: nobody asked */
};
cJSON *detection_event(const struct detection *d); /* NULL on no memory */

/* Somebody changed what nobody should change; same class of OCSF. tamper.schema.json. */
struct tampering {
	char uid[UUID_TEXT]; /* of this finding */
	int64_t time_ms;
	bool end;		  /* it is as it was again */
	const char *kind, *name;  /* tamper_facts.h */
	const char *before, *now; /* NULL: was not there, is not there any more */
};
cJSON *detection_tampering(const struct tampering *t); /* NULL on no memory */

#endif
