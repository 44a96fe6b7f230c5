/* metrics.c - OpenMetrics 1.0 text: one family after the other, each with its TYPE and HELP, and
 * "# EOF" at the end (openmetrics.io, section "Overall Structure"). */
#include "status.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine.h"
#include "events.h"
#include "identity.h"
#include "os/machine.h"
#include "role.h"
#include "tasks.h"
#include "update.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum err
family(struct buf *b, const char *name, const char *type, const char *help)
{
	return buf_printf(
	    b, "# TYPE atalaia_%s %s\n# HELP atalaia_%s %s\n", name, type, name, help);
}

static enum err
gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
	enum err e = family(b, name, "gauge", help);

	return e == OK ? buf_printf(b, "atalaia_%s %" PRIu64 "\n", name, value) : e;
}

typedef enum err (*feed_fn)(struct buf *b, const struct update_view *v);

static enum err
for_feeds(struct agent *a, struct buf *b, feed_fn fn)
{
	struct update_view *v = malloc(sizeof *v);
	enum err e = v == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && updates_view(a->updates, i, v); i++)
		e = fn(b, v);
	free(v);
	return e;
}

static enum err
feed_version(struct buf *b, const struct update_view *v)
{
	return buf_printf(
	    b, "atalaia_set_version{feed=\"%s\"} %" PRIu64 "\n", v->feed, v->facts->version);
}

static enum err
feed_age(struct buf *b, const struct update_view *v)
{
	int64_t age = v->facts->checked == 0 ? -1000 : clock_wall_ms() - v->facts->checked;

	return buf_printf(b, "atalaia_update_age_seconds{feed=\"%s\"} %" PRId64 "\n", v->feed,
	    age < 0 ? -1 : age / 1000);
}

static enum err
feed_bytes(struct buf *b, const struct update_view *v)
{
	return buf_printf(b,
	    "atalaia_update_bytes_total{feed=\"%s\",kind=\"metadata\"} %" PRIu64
	    "\natalaia_update_bytes_total{feed=\"%s\",kind=\"delta\"} %" PRIu64
	    "\natalaia_update_bytes_total{feed=\"%s\",kind=\"full\"} %" PRIu64 "\n",
	    v->feed, v->facts->bytes_metadata, v->feed, v->facts->bytes_delta, v->feed,
	    v->facts->bytes_full);
}

static enum err
feed_runs(struct buf *b, const struct update_view *v)
{
	return buf_printf(b,
	    "atalaia_update_runs_total{feed=\"%s\",outcome=\"good\"} %" PRIu64
	    "\natalaia_update_runs_total{feed=\"%s\",outcome=\"bad\"} %" PRIu64 "\n",
	    v->feed, v->runs - v->failures, v->feed, v->failures);
}

static enum err
feed_refused(struct buf *b, const struct update_view *v)
{
	return buf_printf(b, "atalaia_update_refused_files_total{feed=\"%s\"} %" PRIu64 "\n",
	    v->feed, v->refused_files);
}

static enum err
feeds(struct agent *a, struct buf *b)
{
	static const struct {
		const char *name, *type, *help;
		feed_fn fn;
	} rows[] = {
		{ "set_version", "gauge", "Version of the active set, 0 for none.", feed_version },
		{ "update_age_seconds", "gauge",
		    "Seconds since the feed was verified as current, -1 for never.", feed_age },
		{ "update_bytes", "counter", "Bytes received for updates by kind.", feed_bytes },
		{ "update_runs", "counter", "Update runs since the agent started.", feed_runs },
		{ "update_refused_files", "counter", "Files or sources that were refused.",
		    feed_refused },
	};
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof rows / sizeof rows[0]; i++) {
		e = family(b, rows[i].name, rows[i].type, rows[i].help);
		if (e == OK)
			e = for_feeds(a, b, rows[i].fn);
	}
	return e;
}

static enum err
spool(struct agent *a, struct buf *b)
{
	struct events_stats s = events_stats(a->events);
	enum err e = family(b, "spool_events", "gauge", "Events that wait for delivery.");

	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		e = buf_printf(b, "atalaia_spool_events{class=\"%s\"} %" PRIu64 "\n",
		    event_class_word((enum event_class)c), s.class[c].depth);
	if (e == OK)
		e = family(b, "events_delivered", "counter", "Events that the console has taken.");
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		e = buf_printf(b, "atalaia_events_delivered_total{class=\"%s\"} %" PRIu64 "\n",
		    event_class_word((enum event_class)c), s.class[c].delivered);
	if (e == OK)
		e = family(
		    b, "events_dropped", "counter", "Events lost for lack of room, as reported.");
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		e = buf_printf(b, "atalaia_events_dropped_total{class=\"%s\"} %" PRIu64 "\n",
		    event_class_word((enum event_class)c), s.class[c].dropped);
	return e;
}

static enum err
task_states(struct agent *a, struct buf *b)
{
	uint64_t n[TASK_STATE_COUNT] = { 0 };
	enum err e = family(b, "tasks", "gauge", "Tasks in the journal by state.");

	for (size_t i = 0; i < journal_count(a->journal); i++)
		n[journal_at(a->journal, i)->state]++;
	for (unsigned s = 0; e == OK && s < TASK_STATE_COUNT; s++)
		e = buf_printf(b, "atalaia_tasks{state=\"%s\"} %" PRIu64 "\n",
		    task_state_word((enum task_state)s), n[s]);
	return e;
}

/* Numbers as their owner names them: only plain names. */
static enum err
numbers(struct buf *b, const char *prefix, const cJSON *list)
{
	const cJSON *i;
	enum err e = OK;

	cJSON_ArrayForEach(i, list)
	{
		if (!cJSON_IsNumber(i) ||
		    strspn(i->string, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(i->string))
			continue;
		e = buf_printf(b, "# TYPE atalaia_%s_%s gauge\natalaia_%s_%s %.0f\n", prefix,
		    i->string, prefix, i->string, i->valuedouble);
		if (e != OK)
			break;
	}
	return e;
}

/* Of the serve child and of the drop box's way upward. */
static enum err
role_counters(struct agent *a, struct buf *b)
{
	cJSON *o = role_json(a->role);
	enum err e = numbers(b, "mirror", json_get(o, "counters"));

	if (e == OK)
		e = numbers(b, "dropbox", json_get(o, "dropbox"));
	cJSON_Delete(o);
	return e;
}

enum err
status_metrics(struct agent *a, struct buf *b)
{
	int64_t now = clock_wall_ms();
	enum err e = family(b, "agent", "info", "Version of the agent.");

	if (e == OK)
		e = buf_printf(b, "atalaia_agent_info{version=\"%s\"} 1\n", ATALAIA_VERSION);
	if (e == OK)
		e = gauge(b, "agent_uptime_seconds", "Seconds since the agent started.",
		    (uint64_t)(now > a->started ? (now - a->started) / 1000 : 0));
	if (e == OK)
		e = gauge(b, "agent_resident_bytes", "Resident memory of the agent.",
		    machine_own_memory());
	if (e == OK && a->identity != NULL)
		e = gauge(b, "certificate_expires_seconds", "End of the certificate, Unix time.",
		    (uint64_t)(identity_cert(a->identity)->not_after / 1000));
	if (e == OK && a->engine != NULL)
		e = gauge(
		    b, "engine_up", "1 when the scanning engine answers.", engine_is_up(a->engine));
	if (e == OK)
		e = gauge(b, "update_agent_serving", "1 while this PC serves as update agent.",
		    role_serving(a->role));
	if (e == OK)
		e = feeds(a, b);
	if (e == OK && a->events != NULL)
		e = spool(a, b);
	if (e == OK)
		e = task_states(a, b);
	if (e == OK && a->role != NULL)
		e = role_counters(a, b);
	return e == OK ? buf_puts(b, "# EOF\n") : e;
}
