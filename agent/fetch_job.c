/* fetch_job.c - see fetch_job.h. */
#include "fetch_job.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "child.h"
#include "proto/childctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 3000u
#define KEEP_SETS 2
#define DROPBOX_FOLDER "incoming" /* DESIGN section 5 */

struct fetch_job {
	struct child *child;
	struct fetch_handlers h;
	void *ctx;
	bool have_result, stopping;
	struct fetch_result result;
};

static const char *const outcome_words[] = { "updated", "current", "waiting", "canceled", "failed",
	"sent" };

const char *
fetch_outcome_word(enum fetch_outcome o)
{
	return (unsigned)o <= FETCH_SENT ? outcome_words[o] : "failed";
}

static void
copy_member(char *dst, size_t size, const cJSON *o, const char *name)
{
	const cJSON *v = json_get(o, name);
	char number[32];
	const char *s = "";

	if (cJSON_IsString(v)) {
		s = v->valuestring;
	} else if (cJSON_IsNumber(v)) {
		(void)snprintf(number, sizeof number, "%.0f", v->valuedouble);
		s = number;
	}
	(void)snprintf(dst, size, "%s", s);
}

static uint64_t
number_of(const cJSON *o, const char *name)
{
	uint64_t v;

	return json_opt_u64(o, name, JSON_MAX_INT, 0, &v, NULL) == OK ? v : 0;
}

static void
read_errors(struct fetch_result *r, const cJSON *list)
{
	const cJSON *i;

	cJSON_ArrayForEach(i, list)
	{
		struct fetch_error *e = &r->errors[r->n_errors];

		if (r->n_errors == LIMIT_FETCH_ERRORS)
			return;
		memset(e, 0, sizeof *e);
		copy_member(e->source, sizeof e->source, i, "source");
		copy_member(e->url, sizeof e->url, i, "url");
		copy_member(e->file, sizeof e->file, i, "file");
		copy_member(e->rule, sizeof e->rule, i, "rule");
		copy_member(e->expected, sizeof e->expected, i, "expected");
		copy_member(e->got, sizeof e->got, i, "got");
		copy_member(e->word, sizeof e->word, i, "error");
		copy_member(e->text, sizeof e->text, i, "text");
		r->n_errors++;
	}
}

void
fetch_read_result(struct fetch_result *r, const cJSON *m)
{
	const cJSON *bytes = json_get(m, "bytes");
	char word[16], verified[40];
	bool known = false;

	memset(r, 0, sizeof *r);
	r->outcome = FETCH_FAILED;
	copy_member(word, sizeof word, m, "outcome");
	for (unsigned i = 0; i <= FETCH_SENT; i++)
		if (strcmp(word, outcome_words[i]) == 0) {
			r->outcome = (enum fetch_outcome)i;
			known = true;
		}
	r->version = number_of(m, "version");
	r->from = number_of(m, "from");
	r->ms = number_of(m, "ms");
	r->bytes_metadata = number_of(bytes, "metadata");
	r->bytes_delta = number_of(bytes, "delta");
	r->bytes_full = number_of(bytes, "full");
	r->bytes_wire = number_of(bytes, "total_wire");
	copy_member(r->set, sizeof r->set, m, "set");
	copy_member(r->sha256, sizeof r->sha256, m, "set_sha256");
	copy_member(r->source, sizeof r->source, m, "source");
	copy_member(r->url, sizeof r->url, m, "url");
	copy_member(r->expires, sizeof r->expires, m, "expires");
	r->stale = cJSON_IsTrue(json_get(m, "stale"));
	copy_member(verified, sizeof verified, m, "verified_time");
	if (clock_parse(verified, strlen(verified), &r->verified) != OK)
		r->verified = 0;
	read_errors(r, json_get(m, "errors"));
	if (!known)
		(void)snprintf(r->why, sizeof r->why, "the downloader's answer was not understood");
	else if (r->outcome == FETCH_FAILED && r->n_errors > 0)
		(void)snprintf(r->why, sizeof r->why, "%s", r->errors[r->n_errors - 1].text);
}

static void
on_progress(struct fetch_job *j, const cJSON *m)
{
	struct fetch_progress p = { 0 };

	copy_member(p.phase, sizeof p.phase, m, "phase");
	copy_member(p.file, sizeof p.file, m, "file");
	copy_member(p.source, sizeof p.source, m, "source");
	p.done = number_of(m, "done");
	p.total = number_of(m, "total");
	if (j->h.progress != NULL)
		j->h.progress(j->ctx, &p);
}

static void
on_message(void *ctx, const char *type, cJSON *m)
{
	struct fetch_job *j = ctx;

	if (strcmp(type, "progress") == 0) {
		on_progress(j, m);
	} else if (strcmp(type, "result") == 0) {
		fetch_read_result(&j->result, m);
		j->have_result = true;
	}
}

static void
on_ended(void *ctx, const struct child_end *end)
{
	struct fetch_job *j = ctx;

	if (!j->have_result) {
		j->result.outcome = j->stopping ? FETCH_CANCELED : FETCH_FAILED;
		if (!j->stopping)
			(void)snprintf(j->result.why, sizeof j->result.why,
			    "the downloader ended without a result: %s",
			    end->why[0] == '\0' ? "no reason given" : end->why);
	}
	j->h.done(j->ctx, &j->result);
	free(j);
}

static enum err
add_source(cJSON *list, const struct source *s, const char *scheme, uint16_t port, const char *feed)
{
	char url[512];
	cJSON *o;
	enum err e;

	if (port == 0)
		return OK;
	e = source_url(url, sizeof url, scheme, s, port, feed);
	if (e != OK)
		return e;
	o = cJSON_CreateObject();
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", s->name);
	if (e == OK)
		e = json_add_string(o, "url", url);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	return json_append(list, o);
}

static enum err
add_sources(cJSON *m, const struct fetch_order *o)
{
	cJSON *list;
	enum err e = json_add_array(m, "sources", &list);

	for (size_t i = 0; e == OK && i < o->n_sources; i++) {
		e = add_source(list, &o->sources[i], "ftp", o->sources[i].ftp, o->feed);
		if (e == OK)
			e = add_source(list, &o->sources[i], "http", o->sources[i].http, o->feed);
	}
	return e;
}

static enum err
add_timestamp(cJSON *m, const struct fetch_order *o)
{
	struct buf text;
	enum err e;

	if (o->timestamp == NULL || o->timestamp_len == 0)
		return OK;
	buf_init(&text, LIMIT_TUF_TIMESTAMP * 2);
	e = text_b64(&text, o->timestamp, o->timestamp_len);
	if (e == OK)
		e = json_add_string(m, "timestamp", buf_text(&text));
	buf_free(&text);
	return e;
}

static enum err
add_reject(cJSON *m, const struct fetch_order *o)
{
	cJSON *list;
	enum err e = json_add_array(m, "reject", &list);

	for (size_t i = 0; e == OK && i < o->n_reject; i++)
		e = json_append_string(list, o->reject[i]);
	return e;
}

static enum err
build_config(cJSON *m, const struct fetch_order *o, bool confined)
{
	enum err e =
	    m == NULL ? ERR_NOMEM : json_add_string(m, "mode", o->mirror ? "mirror" : "set");

	if (e == OK)
		e = json_add_string(m, "feed", o->feed);
	if (e == OK)
		e = json_add_string(m, o->mirror ? "root" : "state", o->folder);
	if (e == OK && o->mirror)
		e = json_add_string(m, "work", o->work);
	if (e == OK)
		e = json_add_string(m, "root_json", o->root_json);
	if (e == OK)
		e = add_sources(m, o);
	if (e == OK)
		e = add_timestamp(m, o);
	if (e == OK)
		e = json_add_string(m, "delta", o->delta);
	if (e == OK)
		e = json_add_u64(m, "rate_limit", o->rate_limit);
	if (e == OK && o->current != 0)
		e = json_add_u64(m, "current", o->current);
	if (e == OK && o->inspect)
		e = json_add_bool(m, "inspect", true);
	if (e == OK)
		e = add_reject(m, o);
	if (e == OK)
		e = json_add_u64(m, "keep", KEEP_SETS);
	if (e == OK)
		e = json_add_u64(m, "disk_floor", o->disk_floor);
	if (e == OK)
		e = json_add_string(m, "proxy", o->proxy);
	if (e == OK)
		e = json_add_bool(m, "require_confinement", confined);
	return e;
}

static enum err
build_send(cJSON *m, const struct fetch_send *s, bool confined)
{
	cJSON *list;
	enum err e = m == NULL ? ERR_NOMEM : json_add_string(m, "mode", "send");

	if (e == OK)
		e = json_add_string(m, "file", s->file);
	if (e == OK)
		e = json_add_string(m, "name", s->name);
	if (e == OK)
		e = json_add_array(m, "sources", &list);
	for (size_t i = 0; e == OK && i < s->n_sources; i++)
		e = add_source(list, &s->sources[i], "ftp", s->sources[i].ftp, DROPBOX_FOLDER);
	if (e == OK)
		e = json_add_u64(m, "rate_limit", s->rate_limit);
	if (e == OK)
		e = json_add_string(m, "proxy", s->proxy);
	return e == OK ? json_add_bool(m, "require_confinement", confined) : e;
}

/* config is taken. */
static enum err
start(struct fetch_job **out, struct agent *a, cJSON *config, enum err built,
    const struct fetch_handlers *h, void *ctx, struct fault *f)
{
	static const struct child_handlers handlers = { on_message, on_ended };
	struct child_spec spec = { "atalaia-fetch", a->conf->libexec, NULL, STOP_MS };
	struct fetch_job *j = calloc(1, sizeof *j);
	enum err e = j == NULL ? ERR_NOMEM : built;

	if (e != OK) {
		cJSON_Delete(config);
		free(j);
		return fault_set(f, e, "the downloader's configuration could not be made");
	}
	j->h = *h;
	j->ctx = ctx;
	e = child_spawn(&j->child, &a->loop, &spec, config, &handlers, j, f);
	if (e != OK) {
		free(j);
		return e;
	}
	*out = j;
	return OK;
}

enum err
fetch_start(struct fetch_job **out, struct agent *a, const struct fetch_order *o,
    const struct fetch_handlers *h, void *ctx, struct fault *f)
{
	cJSON *config = childctl_new("config");

	return start(
	    out, a, config, build_config(config, o, a->conf->require_confinement), h, ctx, f);
}

enum err
fetch_send_start(struct fetch_job **out, struct agent *a, const struct fetch_send *s,
    const struct fetch_handlers *h, void *ctx, struct fault *f)
{
	cJSON *config = childctl_new("config");

	return start(
	    out, a, config, build_send(config, s, a->conf->require_confinement), h, ctx, f);
}

void
fetch_stop(struct fetch_job *j)
{
	j->stopping = true;
	child_stop(j->child);
}
