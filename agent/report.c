/* report.c - see report.h. */
#include "report.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "events.h"
#include "fetch_job.h"

#include <string.h>

void
agent_event(struct agent *a, const char *type, cJSON *data)
{
	if (a->events == NULL) {
		cJSON_Delete(data);
		return;
	}
	events_emit(a->events, events_class_of(type), type, data);
}

struct pair {
	const char *name;
	const char *text; /* NULL: a number */
	uint64_t number;
};

#define TEXT(name, value)                                                                          \
	{                                                                                          \
		name, value, 0                                                                     \
	}
#define NUMBER(name, value)                                                                        \
	{                                                                                          \
		name, NULL, value                                                                  \
	}

static void
emit(struct agent *a, const char *type, const struct pair *p, size_t n)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && i < n; i++) {
		if (p[i].text == NULL)
			e = json_add_u64(data, p[i].name, p[i].number);
		else if (p[i].text[0] != '\0')
			e = json_add_string(data, p[i].name, p[i].text);
		if (e ==
		    ERR_PARSE) /* bytes of a mirror that are no UTF-8: the fact goes without them */
			e = json_add_string(data, p[i].name, log_q(p[i].text));
	}
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	agent_event(a, type, data);
}

#define EMIT(a, type, ...)                                                                         \
	do {                                                                                       \
		const struct pair pairs[] = { __VA_ARGS__ };                                       \
		emit(a, type, pairs, sizeof pairs / sizeof pairs[0]);                              \
	} while (0)

void
report_started(struct agent *a)
{
	EMIT(a, "agent.started", TEXT("version", ATALAIA_VERSION), TEXT("boot", a->boot));
}

void
report_policy(struct agent *a, const char *type, const char *file, const char *why)
{
	log_info(type, "file=%s why=%s", file, why == NULL ? "-" : log_q(why));
	EMIT(a, type, TEXT("file", file), TEXT("why", why == NULL ? "" : why));
}

void
report_role(struct agent *a, bool on, const char *mode, const char *why)
{
	log_info("role.changed", "role=update-agent on=%d mode=%s", on, mode);
	EMIT(a, "role.changed", TEXT("role", "update-agent"), TEXT("state", on ? "on" : "off"),
	    TEXT("mode", mode), TEXT("why", why == NULL ? "" : why));
}

void
report_child(struct agent *a, const char *program, const char *why)
{
	log_error("child.fenced", "program=%s why=%s", program, log_q(why));
	EMIT(a, "child.fenced", TEXT("program", program), TEXT("why", why));
}

void
report_dropbox_refused(struct agent *a, const char *file, const char *why)
{
	log_error("dropbox.refused", "file=%s why=%s", file, log_q(why));
	EMIT(a, "dropbox.refused", TEXT("file", file), TEXT("why", why));
}

void
report_confinement(struct agent *a, const char *program, const char *what)
{
	log_warn("confinement.missing", "program=%s got=%s", program, log_q(what));
	EMIT(a, "confinement.missing", TEXT("program", program), TEXT("got", what));
}

void
report_console_refused(struct agent *a, const struct http_refusal *x, uint64_t n)
{
	EMIT(a, "console.refused", TEXT("address", x->peer),
	    TEXT("who", x->id == NULL ? "" : x->id->name), TEXT("path", x->path),
	    TEXT("code", x->code), TEXT("why", x->why), NUMBER("count", n));
}

void
report_skew(struct agent *a, int64_t wall, int64_t floor)
{
	char is[CLOCK_TEXT], least[CLOCK_TEXT];

	clock_format(is, wall);
	clock_format(least, floor);
	log_warn("clock.skew", "wall=%s verified=%s", is, least);
	EMIT(a, "clock.skew", TEXT("wall", is), TEXT("verified", least));
}

static bool
is_content(const struct fetch_error *e)
{
	static const enum err kinds[] = { ERR_VERIFY, ERR_AUTH, ERR_ROLLBACK, ERR_PARSE,
		ERR_TOOBIG };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(e->word, err_word(kinds[i])) == 0)
			return true;
	return false;
}

static uint64_t
mix(uint64_t sum, const char *text)
{
	do
		sum = (sum ^ (uint8_t)*text) *
		      0x100000001b3ull; /* FNV-1a, the end of each text too */
	while (*text++ != '\0');
	return sum;
}

/* 0: nothing that was offered was refused. */
static uint64_t
refused_sum(const struct fetch_result *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->n_errors; i++)
		if (is_content(&r->errors[i])) {
			sum = mix(sum == 0 ? 0xcbf29ce484222325ull : sum, r->errors[i].source);
			sum = mix(sum, r->errors[i].file);
			sum = mix(sum, r->errors[i].rule);
			sum = mix(sum, r->errors[i].expected);
		}
	return sum;
}

void
report_refused_files(
    struct agent *a, const char *feed, const struct fetch_result *r, uint64_t *told)
{
	uint64_t sum = refused_sum(r);
	bool news = sum != 0 && sum != *told;

	if (sum != 0 || r->outcome == FETCH_UPDATED || r->outcome == FETCH_CURRENT)
		*told = sum;
	for (size_t i = 0; i < r->n_errors; i++) {
		const struct fetch_error *e = &r->errors[i];

		log_warn("update.error",
		    "feed=%s source=%s url=%s file=%s rule=%s error=%s text=%s", feed,
		    log_q(e->source), log_q(e->url), log_q(e->file), log_q(e->rule), log_q(e->word),
		    log_q(e->text));
		/* An unreachable mirror is a fact for status, not an audit event. */
		if (!news || !is_content(e))
			continue;
		EMIT(a, "update.rejected", TEXT("feed", feed), TEXT("what", "file"),
		    TEXT("mirror", e->source), TEXT("url", e->url), TEXT("file", e->file),
		    TEXT("rule", e->rule), TEXT("expected", e->expected), TEXT("got", e->got),
		    TEXT("error", e->word), TEXT("why", e->text));
	}
}

void
report_set_rejected(struct agent *a, const char *feed, uint64_t version, const char *sha256,
    const char *rule, const char *why)
{
	log_warn("update.rejected", "feed=%s version=%llu rule=%s why=%s", feed,
	    (unsigned long long)version, rule, log_q(why));
	EMIT(a, "update.rejected", TEXT("feed", feed), TEXT("what", "set"),
	    NUMBER("version", version), TEXT("set_sha256", sha256), TEXT("rule", rule),
	    TEXT("why", why));
}

void
report_applied(
    struct agent *a, const char *feed, const struct fetch_result *r, uint64_t activate_ms)
{
	EMIT(a, "update.applied", TEXT("feed", feed), NUMBER("version", r->version),
	    NUMBER("from", r->from), TEXT("set_sha256", r->sha256), TEXT("mirror", r->source),
	    TEXT("url", r->url), NUMBER("bytes_metadata", r->bytes_metadata),
	    NUMBER("bytes_delta", r->bytes_delta), NUMBER("bytes_full", r->bytes_full),
	    NUMBER("bytes_wire", r->bytes_wire), NUMBER("fetch_ms", r->ms),
	    NUMBER("activate_ms", activate_ms));
}

void
report_mirrored(struct agent *a, const char *feed, const struct fetch_result *r)
{
	EMIT(a, "mirror.published", TEXT("feed", feed), NUMBER("version", r->version),
	    NUMBER("from", r->from), TEXT("mirror", r->source), TEXT("url", r->url),
	    NUMBER("bytes_metadata", r->bytes_metadata), NUMBER("bytes_delta", r->bytes_delta),
	    NUMBER("bytes_full", r->bytes_full), NUMBER("bytes_wire", r->bytes_wire),
	    NUMBER("fetch_ms", r->ms));
}

void
report_reverted(struct agent *a, const char *feed, uint64_t from, uint64_t to, const char *why)
{
	log_error("update.reverted", "feed=%s from=%llu to=%llu why=%s", feed,
	    (unsigned long long)from, (unsigned long long)to, log_q(why));
	EMIT(a, "update.reverted", TEXT("feed", feed), NUMBER("from", from), NUMBER("to", to),
	    TEXT("why", why));
}

void
report_stale(struct agent *a, const char *feed, const char *why, const char *expires)
{
	log_warn("update.stale", "feed=%s expires=%s why=%s", feed,
	    expires[0] == '\0' ? "-" : expires, log_q(why));
	EMIT(a, "update.stale", TEXT("feed", feed), TEXT("expires", expires), TEXT("why", why));
}

void
report_waiting(struct agent *a, const char *feed, const char *why)
{
	log_info("update.waiting", "feed=%s why=%s", feed, log_q(why));
	EMIT(a, "update.waiting", TEXT("feed", feed), TEXT("why", why));
}
