/* scan_schedule.c - see scan_schedule.h. */
#include "scan_schedule.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/file.h"
#include "policies.h"
#include "scanner.h"
#include "update_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 30000u
#define RETRY_MS 600000u /* after a scan that failed: an engine that is away, usually */
#define LIMIT_SCHEDULE_FILE 4096

struct scan_schedule {
	struct agent *agent;
	uv_timer_t timer;
	uv_work_t work;
	int64_t last; /* wall ms of the last end, 0: never */
	uint64_t not_before;
	bool scanning, writing, closing;
	char path[LIMIT_STATE_PATH + 32];
	void (*closed)(void *ctx);
	void *closed_ctx;
};

bool
scan_schedule_due(const cJSON *windows, unsigned minute, int64_t now_ms, int64_t last_ms)
{
	unsigned since = 0;
	int64_t opened;

	if (windows == NULL || cJSON_GetArraySize(windows) == 0 ||
	    !policy_window_open(windows, minute))
		return false;
	while (since < 1440 && policy_window_open(windows, (minute + 1440 - since - 1) % 1440))
		since++;
	if (since == 1440) /* open all day: a new day is a new window */
		since = minute;
	opened = (now_ms / 60000 - (int64_t)since) * 60000;
	return last_ms < opened || last_ms > now_ms;
}

/* --- when the last one ended --- */

static enum err
read_last(struct scan_schedule *s, struct fault *f)
{
	const char *text = "";
	cJSON *tree = NULL;
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_SCHEDULE_FILE);
	e = file_read(s->path, &b, f);
	if (e == OK)
		e = json_parse(&tree, buf_text(&b), b.len, JSON_SIGNED, f);
	if (e == OK)
		e = json_get_string(tree, "ended", &text, f);
	if (e == OK)
		e = clock_parse(text, strlen(text), &s->last);
	cJSON_Delete(tree);
	buf_free(&b);
	if (e == ERR_NOMEM)
		return e;
	fault_reset(f); /* the first start has none: no reason for anything that fails later */
	if (e != OK && e != ERR_NOTFOUND)
		log_warn("scan.schedule", "file=%s error=%s", log_q(s->path), err_word(e));
	return OK;
}

static void
write_work(uv_work_t *w)
{
	struct scan_schedule *s = w->data;
	char time[CLOCK_TEXT], text[100];
	struct fault f = { 0 };
	int n;

	clock_format(time, s->last);
	n = snprintf(text, sizeof text, "{\"ended\": \"%s\"}\n", time);
	if (file_replace(s->path, text, (size_t)n, 0640, &f) != OK)
		log_warn("scan.schedule", "why=%s", log_q(fault_text(&f)));
}

static void
freed(uv_handle_t *h)
{
	struct scan_schedule *s = h->data;
	void (*closed)(void *ctx) = s->closed;
	void *ctx = s->closed_ctx;

	free(s);
	closed(ctx);
}

static void
maybe_closed(struct scan_schedule *s)
{
	if (s->closing && !s->writing && !s->scanning)
		uv_close((uv_handle_t *)&s->timer, freed);
}

static void
written(uv_work_t *w, int status)
{
	struct scan_schedule *s = w->data;

	s->writing = false;
	maybe_closed(s);
}

/* --- the scan --- */

static void
scan_ended(void *ctx, const struct scan_result *r)
{
	struct scan_schedule *s = ctx;

	s->scanning = false;
	if (s->agent->stopping) {
		maybe_closed(s);
		return;
	}
	if (r->err != OK && r->err != ERR_CANCELED) {
		s->not_before = clock_mono_ms() + RETRY_MS;
		return;
	}
	s->last = clock_wall_ms();
	s->writing = true;
	s->work.data = s;
	(void)uv_queue_work(&s->agent->loop, &s->work, write_work, written);
}

static void
begin(struct scan_schedule *s, const struct policy *p)
{
	const char *paths[LIMIT_SCAN_PATHS];
	struct scan_request q = { .paths = paths, .scheduled = true };
	struct fault f = { 0 };
	const cJSON *i;

	cJSON_ArrayForEach(i, policy_value(p, "scan.paths"))
	{
		if (q.n_paths < LIMIT_SCAN_PATHS)
			paths[q.n_paths++] = i->valuestring;
	}
	if (q.n_paths == 0 || scanner_running(s->agent->scanner))
		return;
	q.quarantine = policy_bool(p, "scan.quarantine");
	q.done = scan_ended;
	q.ctx = s;
	if (scanner_start(s->agent->scanner, &q, &f) == OK) {
		s->scanning = true;
		log_info("scan.scheduled", "paths=%zu", q.n_paths);
		return;
	}
	log_warn("scan.scheduled", "why=%s", log_q(fault_text(&f)));
	s->not_before = clock_mono_ms() + RETRY_MS;
}

static void
look(struct scan_schedule *s)
{
	const struct policy *p = policies_effective(s->agent->policies);
	const cJSON *windows = policy_value(p, "scan.schedule");
	int64_t now = clock_wall_ms();

	if (s->closing || s->writing)
		return;
	if (s->scanning) {
		if (!scan_schedule_due(windows, local_minute(), now, 0))
			scanner_stop(s->agent->scanner);
	} else if (clock_mono_ms() >= s->not_before &&
		   scan_schedule_due(windows, local_minute(), now, s->last)) {
		begin(s, p);
	}
}

static void
due(uv_timer_t *t)
{
	look(t->data);
}

void
scan_schedule_look(struct scan_schedule *s)
{
	if (s == NULL || !uv_is_active((uv_handle_t *)&s->timer))
		return;
	s->not_before = 0;
	look(s);
}

enum err
scan_schedule_new(struct scan_schedule **out, struct agent *a, struct fault *f)
{
	struct scan_schedule *s = calloc(1, sizeof *s);
	enum err e = s == NULL ? ERR_NOMEM : OK;

	if (e == OK) {
		s->agent = a;
		e = file_join(s->path, sizeof s->path, a->conf->state, "scan-schedule.json");
	}
	if (e == OK)
		e = read_last(s, f);
	if (e != OK) {
		free(s);
		return fault_set(f, e, "scheduled scans cannot begin: %s", err_text(e));
	}
	(void)uv_timer_init(&a->loop, &s->timer);
	s->timer.data = s;
	*out = s;
	return OK;
}

void
scan_schedule_start(struct scan_schedule *s)
{
	(void)uv_timer_start(&s->timer, due, LOOK_MS, LOOK_MS);
	look(s);
}

/* A running scan is ended by the scanner's own end. */
void
scan_schedule_close(struct scan_schedule *s, void (*closed)(void *ctx), void *ctx)
{
	s->closing = true;
	s->closed = closed;
	s->closed_ctx = ctx;
	(void)uv_timer_stop(&s->timer);
	maybe_closed(s);
}
