/* scanner_finding.h - one thing that a scan told, on its way to vault, log and event. For scanner.c
 * only. */
#ifndef ATALAIA_AGENT_SCANNER_FINDING_H
#define ATALAIA_AGENT_SCANNER_FINDING_H

#include "engine.h"
#include "events.h"
#include "quarantine.h"
#include "scanner.h"

enum finding_kind { FINDING_DETECTION, FINDING_UNREADABLE, FINDING_SUMMARY };

struct finding {
	struct finding *next;
	enum finding_kind kind;
	char *path;  /* exact bytes, for the vault */
	char *shown; /* as text */
	char *text;  /* signature, error or summary */
	char *task, *sha256;
	uint64_t size, dev, ino;
	int64_t mtime_s, time_ms;
	bool quarantine; /* asked for */
	bool quarantined;
	char id[UUID_TEXT], uid[UUID_TEXT];
	struct fault fault; /* why it was not */
};

/* From a message of atalaia-scan; NULL on no memory or when it is none. task may be NULL. */
struct finding *finding_new(
    enum finding_kind kind, const cJSON *message, const char *task, bool quarantine);
struct finding *finding_summary(const struct scan_result *r, const char *task);
void finding_free(struct finding *g);
/* Worker. vault NULL: there is none. */
void finding_settle(struct finding *g, struct quarantine *vault, const char *state);
/* Loop: raises org.atalaia.detection. */
void finding_tell(const struct finding *g, struct events *events, const struct engine *engine);

#endif
