/* setmode.c - a PC's own store: refresh, obtain, stage sets/<version>. The agent gates and
 * activates it; `current` is never touched here. */
#include "job.h"

#include "memo.h"
#include "scrub.h"

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "update/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Content of kept sets that was asked for and read again: once in a run. */
struct sounded {
	struct sounding {
		uint8_t sha256[SHA_LEN];
		bool right;
	} * list;
	size_t count, cap;
};

static void
remember(struct sounded *s, const uint8_t sha256[SHA_LEN], bool right)
{
	if (s->count == s->cap) {
		size_t cap = s->cap == 0 ? 32 : s->cap * 2;
		void *p = realloc(s->list, cap * sizeof *s->list);

		if (p == NULL)
			return; /* then it is read once more */
		s->list = p;
		s->cap = cap;
	}
	memcpy(s->list[s->count].sha256, sha256, SHA_LEN);
	s->list[s->count++].right = right;
}

/* A file that rotted is not held: as the base of a delta it would spoil the result, as an unchanged
 * file it would be missed when the set is built. */
static bool
is_right(struct job *j, const uint8_t sha256[SHA_LEN], const char *path)
{
	struct sounded *s = j->mode;
	struct entry e = { .path = (char *)(uintptr_t)path };
	struct tuf_failure why;
	enum err r;

	for (size_t i = 0; i < s->count; i++)
		if (memcmp(s->list[i].sha256, sha256, SHA_LEN) == 0)
			return s->list[i].right;
	memcpy(e.sha256, sha256, SHA_LEN);
	r = file_size(path, &e.length);
	if (r == OK)
		r = objects_check(path, &e, &j->cancel, &why);
	if (r == ERR_CANCELED)
		return false;
	if (r != OK)
		scrub_report(j, path);
	remember(s, sha256, r == OK);
	return r == OK;
}

static enum err
find_in_sets(struct job *j, const uint8_t sha256[SHA_LEN], char *path, size_t size)
{
	enum err e = set_find(j->config->state, sha256, SET_ANY_SIZE, path, size, NULL);

	return e == OK && !is_right(j, sha256, path) ? ERR_NOTFOUND : e;
}

/* The catalog's entries that are content. The caller frees. */
static const struct entry **
content(const struct catalog *c, size_t *n)
{
	const struct entry **list = calloc(c->count + 1, sizeof(const struct entry *));

	*n = 0;
	for (size_t i = 0; list != NULL && i < c->count; i++)
		if (c->entries[i].kind == ENTRY_SET)
			list[(*n)++] = &c->entries[i];
	return list;
}

static enum err
fill_report(struct job *j, const uint8_t identity[SHA_LEN], enum outcome o)
{
	struct report *r = j->report;

	text_hex(r->set_sha256, identity, SHA_LEN);
	if (snprintf(r->set, sizeof r->set, "%s/sets/%llu", j->config->state,
		(unsigned long long)r->version) >= (int)sizeof r->set)
		return ERR_TOOBIG;
	r->outcome = o;
	return OK;
}

/* The agent refused this content before: nothing to do until there is another version. */
static enum err
refused_before(struct job *j, const uint8_t identity[SHA_LEN], struct fault *f)
{
	char hex[2 * SHA_LEN + 1];

	text_hex(hex, identity, SHA_LEN);
	if (!fetch_config_rejects(j->config, hex))
		return OK;
	j->waiting = true;
	(void)snprintf(j->report->set_sha256, sizeof j->report->set_sha256, "%s", hex);
	return fault_set(f, ERR_AGAIN, "version %llu is a set that was refused before",
	    (unsigned long long)j->report->version);
}

/* Is the version staged or active already? Its manifest says whether it is of these targets. */
static enum err
already_there(struct job *j, bool *there, bool *damaged, struct fault *f)
{
	uint8_t identity[SHA_LEN], listed[SHA_LEN], built[SHA_LEN];
	uint64_t v = j->report->version;
	enum err e;

	*there = false;
	memo_digest(&j->catalog, listed);
	if (memo_read(&j->objects, listed, built) == OK) {
		e = refused_before(j, built, f);
		if (e != OK)
			return e;
	}
	if (set_identity(j->config->state, v, identity, NULL) != OK ||
	    memo_read(&j->objects, listed, built) != OK || memcmp(identity, built, SHA_LEN) != 0)
		return OK;
	e = scrub_set(j, v, there, f);
	*damaged = e == OK && !*there;
	if (e != OK || *damaged)
		return e;
	return fill_report(
	    j, identity, v == j->config->current ? OUTCOME_CURRENT : OUTCOME_UPDATED);
}

/* A store that was lost and a mirror that plays an old version: TUF alone cannot see it. */
static enum err
not_backwards(struct job *j, uint64_t trusted_before, struct fault *f)
{
	char want[32], got[32];
	struct refusal r = { .source = j->report->source,
		.url = j->report->url,
		.file = "targets.json",
		.rule = "rollback",
		.expected = want,
		.got = got,
		.error = ERR_ROLLBACK,
		.text = "the feed is older than the active set" };

	if (trusted_before != 0 || j->report->version >= j->config->current)
		return OK;
	(void)snprintf(want, sizeof want, ">= %llu", (unsigned long long)j->config->current);
	(void)snprintf(got, sizeof got, "%llu", (unsigned long long)j->report->version);
	report_refuse(j->report, &r);
	return fault_set(f, ERR_ROLLBACK, "%s", r.text);
}

static enum err
name_sources(struct job *j, const struct entry *const *list, struct set_file *files,
    char (*paths)[OBJECT_PATH], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		files[i] = (struct set_file){
			.path = list[i]->path, .size = list[i]->length, .pack = list[i]->pack
		};
		memcpy(files[i].sha256, list[i]->sha256, SET_SHA);
		if (!objects_have(&j->objects, list[i]->sha256))
			continue;
		objects_path(&j->objects, "objects", list[i]->sha256, paths[i]);
		files[i].source = paths[i];
	}
	return OK;
}

static enum err
stage(struct job *j, const struct entry *const *list, size_t n, struct fault *f)
{
	struct set_file *files = calloc(n + 1, sizeof *files);
	char(*paths)[OBJECT_PATH] = calloc(n + 1, sizeof *paths);
	struct set_build b = { .feed_dir = j->config->state,
		.version = j->report->version,
		.files = files,
		.count = n,
		.cancel = &j->cancel };
	uint8_t listed[SHA_LEN];
	enum err e =
	    files != NULL && paths != NULL ? name_sources(j, list, files, paths, n) : ERR_NOMEM;

	progress_phase(j->progress, PHASE_STAGE, "", NULL);
	if (e == OK)
		e = set_build(&b, f);
	memo_digest(&j->catalog, listed);
	if (e == OK)
		e = memo_write(&j->objects, listed, b.manifest_sha256, f);
	if (e == OK)
		e = refused_before(j, b.manifest_sha256, f);
	if (e == OK) {
		log_info("fetch.staged", "feed=%s version=%llu files=%u linked=%u bytes=%llu",
		    j->config->feed, (unsigned long long)b.version, b.members, b.linked,
		    (unsigned long long)b.bytes);
		e = fill_report(j, b.manifest_sha256,
		    b.version == j->config->current ? OUTCOME_CURRENT : OUTCOME_UPDATED);
	}
	free(files);
	free(paths);
	return e;
}

/* An object that went bad after it was verified would fail every later run as well. */
static enum err
after_bad_stage(struct job *j, enum err e, struct fault *f)
{
	if (e != ERR_VERIFY)
		return e;
	job_refuse(j, j->source, "", "stage", e, fault_text(f));
	if (objects_sweep(&j->objects, NULL, NULL) != OK)
		log_warn("fetch.sweep", "feed=%s", j->config->feed);
	return e;
}

/* A damaged set is no update: `delta = require` does not keep it damaged. */
static enum err
obtain_and_stage(struct job *j, bool damaged, struct fault *f)
{
	size_t n;
	uint64_t version;
	const struct entry **list = content(&j->catalog, &n);
	bool had_set = !damaged && set_current(j->config->state, &version, NULL) == OK;
	enum err e = list != NULL ? OK : ERR_NOMEM;

	if (e == OK)
		e = job_obtain(j, list, n, had_set, f);
	if (e == OK)
		e = after_bad_stage(j, stage(j, list, n, f), f);
	free(list);
	return e;
}

/* What earlier runs left: objects of versions that are gone, sets beyond `keep`. */
static enum err
tidy(struct job *j, const struct catalog *keep, struct fault *f)
{
	const struct fetch_config *c = j->config;
	uint64_t protect[2] = { c->current, j->report->version };
	enum err e = objects_sweep(&j->objects, keep, f);

	return e == OK ? set_prune(c->state, c->keep, protect, 2, f) : e;
}

static enum err
update_set(struct job *j, struct fault *f)
{
	uint64_t trusted_before = tuf_version(j->tuf, "targets");
	bool there = false, damaged = false;
	enum err e = set_clean(j->config->state, f);

	if (e == OK)
		e = job_refresh(j, f);
	if (e == OK)
		e = not_backwards(j, trusted_before, f);
	if (e == OK)
		e = job_list(j, f);
	if (e == OK)
		e = already_there(j, &there, &damaged, f);
	if (e == OK && !there) {
		e = objects_sweep(&j->objects, &j->catalog, f);
		if (e == OK)
			e = obtain_and_stage(j, damaged, f);
	}
	if (e == OK)
		e = tidy(j, NULL, f);
	if (e == OK)
		scrub_done(j, !there); /* a set that is built is hashed */
	return e;
}

enum err
job_set(struct job *j, struct fault *f)
{
	struct sounded read = { 0 };
	enum err e;

	j->find_held = find_in_sets;
	j->mode = &read;
	e = update_set(j, f);
	free(read.list);
	j->mode = NULL;
	return e;
}
