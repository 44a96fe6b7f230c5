#include "scanner_finding.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "detection.h"
#include "mwavlog.h"
#include "os/rand.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
finding_free(struct finding *g)
{
	if (g == NULL)
		return;
	free(g->path);
	free(g->shown);
	free(g->text);
	free(g->task);
	free(g->sha256);
	free(g);
}

static enum err
keep(char **at, const char *text)
{
	*at = text != NULL ? strdup(text) : NULL;
	return text == NULL || *at != NULL ? OK : ERR_NOMEM;
}

static enum err
take_path(struct finding *g, const cJSON *m)
{
	const char *shown = NULL, *exact = NULL;
	struct buf b;
	enum err e = json_get_string(m, "path", &shown, NULL);

	if (e == OK)
		e = json_opt_string(m, "path_b64", NULL, &exact, NULL);
	if (e == OK)
		e = keep(&g->shown, shown);
	if (e != OK || exact == NULL)
		return e == OK ? keep(&g->path, shown) : e;
	buf_init(&b, LIMIT_SCAN_PATH);
	e = text_unb64(&b, exact, strlen(exact));
	if (e == OK && memchr(buf_text(&b), '\0', b.len) != NULL)
		e = ERR_PARSE;
	if (e == OK)
		e = keep(&g->path, buf_text(&b));
	buf_free(&b);
	return e;
}

static enum err
take_rest(struct finding *g, const cJSON *m, const char *task)
{
	const char *text, *sha256 = NULL;
	uint64_t mtime = 0;
	enum err e =
	    json_get_string(m, g->kind == FINDING_DETECTION ? "signature" : "error", &text, NULL);

	if (e == OK)
		e = json_opt_string(m, "sha256", NULL, &sha256, NULL);
	if (e == OK)
		e = json_opt_u64(m, "size", JSON_MAX_INT, 0, &g->size, NULL);
	if (e == OK)
		e = json_opt_u64(m, "dev", JSON_MAX_INT, 0, &g->dev, NULL);
	if (e == OK)
		e = json_opt_u64(m, "ino", JSON_MAX_INT, 0, &g->ino, NULL);
	if (e == OK)
		e = json_opt_u64(m, "mtime", JSON_MAX_INT, 0, &mtime, NULL);
	g->mtime_s = (int64_t)mtime;
	if (e == OK)
		e = keep(&g->text, text);
	if (e == OK)
		e = keep(&g->sha256, sha256);
	return e == OK ? keep(&g->task, task) : e;
}

struct finding *
finding_new(enum finding_kind kind, const cJSON *message, const char *task, bool quarantine)
{
	struct finding *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->kind = kind;
	g->quarantine = quarantine;
	g->time_ms = clock_wall_ms();
	rand_uuid_v7(g->uid);
	if (take_path(g, message) == OK && take_rest(g, message, task) == OK)
		return g;
	finding_free(g);
	return NULL;
}

struct finding *
finding_summary(const struct scan_result *r, const char *task)
{
	struct finding *g = calloc(1, sizeof *g);
	char text[300];

	if (g == NULL)
		return NULL;
	(void)snprintf(text, sizeof text,
	    "outcome=%s files=%" PRIu64 " bytes=%" PRIu64 " found=%" PRIu64 " unreadable=%" PRIu64
	    " ms=%" PRIu64 " task=%.40s",
	    r->err == OK ? "done" : err_word(r->err), r->files, r->bytes, r->found, r->unreadable,
	    r->ms, task != NULL ? task : "-");
	g->kind = FINDING_SUMMARY;
	g->time_ms = clock_wall_ms();
	if (keep(&g->text, text) == OK)
		return g;
	finding_free(g);
	return NULL;
}

static void
take_away(struct finding *g, struct quarantine *vault)
{
	const struct quarantine_request r = { g->path, g->text, g->task, g->dev, g->ino };

	g->quarantined = vault != NULL && quarantine_take(vault, &r, g->id, &g->fault) == OK;
	if (vault == NULL)
		(void)fault_set(&g->fault, ERR_IO, "this PC's vault cannot be opened; see its log");
	if (!g->quarantined)
		log_warn("quarantine.take", "path=%s why=%s", log_q(g->shown),
		    log_q(fault_text(&g->fault)));
}

void
finding_settle(struct finding *g, struct quarantine *vault, const char *state)
{
	enum err e = OK;

	switch (g->kind) {
	case FINDING_DETECTION:
		if (g->quarantine)
			take_away(g, vault);
		e = mwavlog_line(state, g->time_ms, "FOUND", g->path, "%s %s%s", g->text,
		    g->quarantined ? "quarantined=" : "left", g->quarantined ? g->id : "");
		break;
	case FINDING_UNREADABLE:
		e = mwavlog_line(state, g->time_ms, "UNREAD", g->path, "%s", g->text);
		break;
	case FINDING_SUMMARY:
		e = mwavlog_line(state, g->time_ms, "SCAN", NULL, "%s", g->text);
		break;
	}
	if (e != OK)
		log_warn("mwavlog.write", "why=%s", err_word(e));
}

static cJSON *
taken_event(const struct finding *g)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "id", g->id);

	if (e == OK)
		e = json_add_string(o, "path", g->shown);
	if (e == OK)
		e = json_add_string(o, "signature", g->text);
	if (e == OK && g->task != NULL)
		e = json_add_string(o, "task", g->task);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

void
finding_tell(const struct finding *g, struct events *events, const struct engine *engine)
{
	cJSON *status = engine_status(engine);
	const char *version = NULL;
	const struct detection d = { .uid = g->uid,
		.path = g->shown,
		.signature = g->text,
		.sha256 = g->sha256,
		.size = g->size,
		.mtime_s = g->mtime_s,
		.time_ms = g->time_ms,
		.engine = engine_settings(engine)->type == ENGINE_CLAMD ? "clamd" : "command",
		.engine_version =
		    status != NULL && json_get_string(status, "version", &version, NULL) == OK &&
			    version[0] != '\0'
			? version
			: NULL,
		.task = g->task,
		.quarantine = g->quarantined ? g->id : NULL,
		.quarantine_error =
		    g->quarantine && !g->quarantined ? fault_text(&g->fault) : NULL };

	log_info("detection", "signature=%s path=%s quarantined=%s", log_q(g->text),
	    log_q(g->shown), g->quarantined ? g->id : "no");
	events_emit(events, EVENT_DETECTION, "detection", detection_event(&d));
	if (g->quarantined)
		events_emit(events, EVENT_TASK, "quarantine.taken", taken_event(g));
	cJSON_Delete(status);
}
