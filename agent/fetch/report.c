/* report.c - see report.h */
#include "report.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

#include <string.h>

static const char *const outcomes[] = { "failed", "updated", "current", "waiting", "canceled",
	"sent" };

void
report_init(struct report *r, const char *feed, uint64_t from)
{
	memset(r, 0, sizeof *r);
	r->from = from;
	if (text_copy(r->feed, sizeof r->feed, feed, strlen(feed)) != OK)
		r->feed[0] = '\0'; /* cannot be: config.c bounds it */
}

/* Bytes of a stranger become printable ASCII; what does not fit is cut. */
static void
keep(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	for (; src != NULL && *src != '\0' && n + 1 < size; src++)
		dst[n++] = *src >= 0x20 && *src < 0x7f ? *src : '?';
	dst[n] = '\0';
}

static bool
same(const struct report_error *a, const struct report_error *b)
{
	return strcmp(a->source, b->source) == 0 && strcmp(a->url, b->url) == 0 &&
	       strcmp(a->file, b->file) == 0 && strcmp(a->rule, b->rule) == 0;
}

void
report_refuse(struct report *r, const struct refusal *why)
{
	struct report_error e = { .error = why->error };

	keep(e.source, sizeof e.source, why->source);
	keep(e.url, sizeof e.url, why->url);
	keep(e.file, sizeof e.file, why->file);
	keep(e.rule, sizeof e.rule, why->rule);
	keep(e.expected, sizeof e.expected, why->expected);
	keep(e.got, sizeof e.got, why->got);
	keep(e.text, sizeof e.text, why->text);
	for (size_t i = 0; i < r->error_count; i++)
		if (same(&r->errors[i], &e))
			return;
	log_warn("fetch.refused", "source=%s file=%s rule=%s expected=%s got=%s error=%s text=%s",
	    log_q(e.source), log_q(e.file), log_q(e.rule), log_q(e.expected), log_q(e.got),
	    err_word(e.error), log_q(e.text));
	if (r->error_count == REPORT_ERRORS)
		r->errors_dropped++;
	else
		r->errors[r->error_count++] = e;
}

bool
report_has(const struct report *r, enum err error)
{
	for (size_t i = 0; i < r->error_count; i++)
		if (r->errors[i].error == error)
			return true;
	return false;
}

static enum err
add_some(cJSON *o, const char *name, const char *value)
{
	return value[0] == '\0' ? OK : json_add_string(o, name, value);
}

static enum err
add_error(cJSON *list, const struct report_error *e)
{
	cJSON *o = cJSON_CreateObject();
	enum err r = o != NULL ? json_add_string(o, "source", e->source) : ERR_NOMEM;

	if (r == OK)
		r = add_some(o, "url", e->url);
	if (r == OK)
		r = add_some(o, "file", e->file);
	if (r == OK)
		r = json_add_string(o, "rule", e->rule);
	if (r == OK)
		r = add_some(o, "expected", e->expected);
	if (r == OK)
		r = add_some(o, "got", e->got);
	if (r == OK)
		r = json_add_string(o, "error", err_word(e->error));
	if (r == OK)
		r = json_add_string(o, "text", e->text);
	if (r == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return r;
}

static enum err
add_bytes(cJSON *m, const struct report *r)
{
	cJSON *o;
	enum err e = json_add_object(m, "bytes", &o);

	if (e == OK)
		e = json_add_u64(o, "metadata", r->bytes[BYTES_METADATA]);
	if (e == OK)
		e = json_add_u64(o, "delta", r->bytes[BYTES_DELTA]);
	if (e == OK)
		e = json_add_u64(o, "full", r->bytes[BYTES_FULL]);
	return e == OK ? json_add_u64(o, "total_wire", r->wire) : e;
}

static enum err
add_time(cJSON *m, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT];

	if (ms == 0)
		return OK;
	clock_format_s(text, ms);
	return json_add_string(m, name, text);
}

static enum err
add_head(cJSON *m, const struct report *r)
{
	enum err e = json_add_string(m, "type", "result");

	if (e == OK)
		e = json_add_string(m, "outcome", outcome_word(r->outcome));
	if (e == OK)
		e = json_add_string(m, "feed", r->feed);
	if (e == OK)
		e = json_add_u64(m, "version", r->version);
	if (e == OK)
		e = json_add_u64(m, "from", r->from);
	if (e == OK && r->timestamp_version != 0)
		e = json_add_u64(m, "timestamp_version", r->timestamp_version);
	if (e == OK)
		e = add_some(m, "set", r->set);
	if (e == OK)
		e = add_some(m, "set_sha256", r->set_sha256);
	if (e == OK)
		e = add_some(m, "source", r->source);
	return e == OK ? add_some(m, "url", r->url) : e;
}

static enum err
add_tail(cJSON *m, const struct report *r)
{
	cJSON *list;
	enum err e = json_add_u64(m, "ms", r->ms);

	if (e == OK)
		e = add_time(m, "expires", r->expires_ms);
	if (e == OK)
		e = add_time(m, "verified_time", r->verified_ms);
	if (e == OK)
		e = json_add_bool(m, "stale", r->stale);
	if (e == OK && r->clock_behind_ms > 0)
		e = json_add_u64(m, "clock_behind_ms", (uint64_t)r->clock_behind_ms);
	if (e == OK && r->errors_dropped != 0)
		e = json_add_u64(m, "errors_dropped", r->errors_dropped);
	if (e == OK)
		e = json_add_array(m, "errors", &list);
	for (size_t i = 0; e == OK && i < r->error_count; i++)
		e = add_error(list, &r->errors[i]);
	return e;
}

cJSON *
report_message(const struct report *r)
{
	cJSON *m = cJSON_CreateObject();

	if (m != NULL && add_head(m, r) == OK && add_bytes(m, r) == OK && add_tail(m, r) == OK)
		return m;
	cJSON_Delete(m);
	return NULL;
}

const char *
outcome_word(enum outcome o)
{
	return outcomes[o];
}

int
report_exit(const struct report *r)
{
	if (r->outcome == OUTCOME_SENT)
		return 0;
	if (r->outcome != OUTCOME_UPDATED && r->outcome != OUTCOME_CURRENT)
		return 1;
	return r->error_count == 0 ? 0 : 3;
}
