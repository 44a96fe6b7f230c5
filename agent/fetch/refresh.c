/* refresh.c - the metadata: TUF over the sources in order. */
#include "job.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <string.h>

struct at_source {
	struct job *job;
	size_t index;
};

void
job_refuse(struct job *j, size_t source, const char *file, const char *rule, enum err error,
    const char *text)
{
	const struct fetch_source *s = &j->config->sources[source];
	struct refusal r = { .source = s->name, .url = s->url, .file = file, .rule = rule,
		.error = error, .text = text };

	report_refuse(j->report, &r);
}

void
job_refuse_failure(struct job *j, size_t source, const struct tuf_failure *why)
{
	const struct fetch_source *s = &j->config->sources[source];
	struct refusal r = { .source = s->name, .url = s->url, .file = why->file,
		.rule = tuf_rule_word(why->rule), .expected = why->expected, .got = why->got,
		.error = why->code, .text = why->text };

	report_refuse(j->report, &r);
}

enum err
job_fetch_document(struct job *j, size_t source, const char *name, size_t max, struct buf *out,
    struct fault *f)
{
	const struct fetch_source *s = &j->config->sources[source];
	struct download d = { .buf = out, .fd = -1, .limit = max };
	enum err e;

	progress_phase(j->progress, PHASE_METADATA, name, s->name);
	if (snprintf(d.url, sizeof d.url, "%s/metadata/%s", s->url, name) >= (int)sizeof d.url)
		return fault_set(f, ERR_TOOBIG, "the address of %s is too long", name);
	e = downloader_run(j->downloader, &d, 1);
	j->report->bytes[BYTES_METADATA] += d.received;
	j->report->wire += d.wire;
	if (e == OK)
		e = d.result;
	if (e != OK)
		return fault_set(f, e, "%s: %s", d.url, d.text[0] != '\0' ? d.text : err_text(e));
	return OK;
}

/* struct tuf_source.fetch */
static enum err
fetch_document(void *ctx, const char *name, size_t max, struct buf *out, struct fault *f)
{
	struct at_source *at = ctx;

	return job_fetch_document(at->job, at->index, name, max, out, f);
}

static enum err
on_accepted(void *ctx, const struct tuf_document *d, struct fault *f)
{
	struct job *j = ctx;

	log_debug("fetch.accepted", "role=%s version=%llu fresh=%s", log_q(d->role),
	    (unsigned long long)d->version, d->fresh ? "yes" : "no");
	if (atomic_load(&j->cancel))
		return fault_set(f, ERR_CANCELED, "stopped on request");
	return j->config->mode == FETCH_MIRROR ? documents_add(&j->documents, d) : OK;
}

enum err
job_open_tuf(struct job *j, struct fault *f)
{
	const struct fetch_config *c = j->config;
	struct tuf_options o = { .accepted = on_accepted, .accepted_ctx = j, .keep_floor = true };
	char dir[4200];
	struct buf root;
	enum err e = file_join(dir, sizeof dir, c->mode == FETCH_SET ? c->state : c->work, "tuf");

	buf_init(&root, LIMIT_TUF_ROOT);
	if (e == OK)
		e = file_make_dirs(dir, 0750, f);
	if (e == OK && c->root_json != NULL) {
		e = file_read(c->root_json, &root, f);
		if (e == ERR_NOTFOUND) { /* needed only while the store has none: tuf_open knows */
			fault_reset(f);
			e = OK;
		}
	}
	o.dir = dir;
	o.root = root.len != 0 ? root.data : NULL;
	o.root_len = root.len;
	if (e == OK)
		e = tuf_open(&j->tuf, &o, f);
	buf_free(&root);
	return e;
}

static enum err
refresh_at(struct job *j, size_t i, bool hint, struct fault *f)
{
	struct at_source at = { j, i };
	struct tuf_source source = { fetch_document, &at };
	const struct buf *t = &j->config->timestamp;
	const struct tuf_failure *why;
	enum err e;

	hint = hint && t->len != 0;
	e = tuf_refresh(j->tuf, &source, hint ? t->data : NULL, hint ? t->len : 0, f);
	why = tuf_hint_failure(j->tuf);
	if (hint && why->rule != TUF_RULE_NONE) {
		struct refusal r = { .source = "announcement",
			.file = "timestamp.json",
			.rule = tuf_rule_word(why->rule),
			.expected = why->expected,
			.got = why->got,
			.error = why->code,
			.text = why->text };
		report_refuse(j->report, &r);
	}
	return e;
}

/* The announcement may be an old one, played again: what it announced is here already, so the
 * source's own timestamp is asked as well. */
static enum err
refresh_once(struct job *j, size_t i, uint64_t before, struct fault *f)
{
	enum err e = refresh_at(j, i, true, f);

	if (e != OK || j->config->timestamp.len == 0 || before == 0 ||
	    tuf_hint_failure(j->tuf)->rule != TUF_RULE_NONE ||
	    tuf_version(j->tuf, "timestamp") > before)
		return e;
	return refresh_at(j, i, false, f);
}

static void
fill_report(struct job *j)
{
	struct report *r = j->report;
	int64_t now = clock_wall_ms();

	r->version = tuf_version(j->tuf, "targets");
	r->timestamp_version = tuf_version(j->tuf, "timestamp");
	r->expires_ms = tuf_expires_ms(j->tuf, "timestamp");
	r->verified_ms = tuf_verified_ms(j->tuf);
	r->clock_behind_ms = tuf_clock_behind_ms(j->tuf);
	r->stale =
	    r->expires_ms != 0 && r->expires_ms <= (now > r->verified_ms ? now : r->verified_ms);
}

/* Which errors say that the source as a whole is no use in this run. */
static void
strike(struct job *j, size_t i, enum err e)
{
	j->strikes[i] += e == ERR_UNREACHABLE || e == ERR_DENIED || e == ERR_AGAIN ? 3 : 1;
}

enum err
job_refresh(struct job *j, struct fault *f)
{
	uint64_t before = tuf_version(j->tuf, "timestamp");
	enum err e = ERR_UNREACHABLE;

	for (size_t i = 0; i < j->config->source_count; i++) {
		struct fault here = { 0 };

		e = refresh_once(j, i, before, &here);
		if (e == OK) {
			const struct fetch_source *s = &j->config->sources[i];

			j->source = i;
			(void)snprintf(j->report->source, sizeof j->report->source, "%s", s->name);
			(void)snprintf(j->report->url, sizeof j->report->url, "%s", s->url);
			break;
		}
		if (e == ERR_CANCELED || tuf_failure(j->tuf)->rule == TUF_RULE_STORE) {
			(void)fault_set(f, e, "%s", fault_text(&here));
			break;
		}
		job_refuse_failure(j, i, tuf_failure(j->tuf));
		if (tuf_failure(j->tuf)->rule == TUF_RULE_FETCH)
			strike(j, i, e);
		(void)fault_set(f, e, "%s: %s", j->config->sources[i].name, fault_text(&here));
	}
	fill_report(j);
	return e;
}

static enum err
on_target(void *ctx, const struct tuf_target *t, struct fault *f)
{
	struct job *j = ctx;
	struct buf file;
	enum err e;

	if (j->catalog.count == LIMIT_SET_FILES)
		return fault_set(
		    f, ERR_TOOBIG, "the feed has more than %d targets", LIMIT_SET_FILES);
	buf_init(&file, LIMIT_FETCH_URL / 2);
	e = tuf_target_file(j->tuf, t, &file);
	if (e == OK)
		e = catalog_add(&j->catalog, t, buf_text(&file), f);
	buf_free(&file);
	return e;
}

/* Delegated roles may be absent at one source and present at the next. */
enum err
job_list(struct job *j, struct fault *f)
{
	enum err e = ERR_NOTFOUND;

	for (size_t k = 0; k < j->config->source_count; k++) {
		size_t i = (j->source + k) % j->config->source_count;
		struct at_source at = { j, i };
		struct tuf_source source = { fetch_document, &at };
		struct fault here = { 0 };

		catalog_free(&j->catalog);
		e = tuf_each(j->tuf, &source, on_target, j, &here);
		if (e == OK) {
			catalog_finish(&j->catalog);
			return OK;
		}
		if (e == ERR_CANCELED || e == ERR_NOMEM)
			return fault_set(f, e, "%s", fault_text(&here));
		if (tuf_failure(j->tuf)->rule != TUF_RULE_NONE)
			job_refuse_failure(j, i, tuf_failure(j->tuf));
		else
			job_refuse(j, i, "targets.json", "form", e, fault_text(&here));
		(void)fault_set(f, e, "%s: %s", j->config->sources[i].name, fault_text(&here));
	}
	return e;
}
