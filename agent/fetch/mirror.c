/* mirror.c - an update agent's sync: all metadata, all targets and deltas, published in order. */
#include "documents.h"
#include "job.h"
#include "retention.h"
#include "scrub.h"
#include "served.h"

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err
find_served(struct job *j, const uint8_t sha256[SHA_LEN], char *path, size_t size)
{
	const struct served_file *s = served_find(j->mode, sha256);

	if (s == NULL)
		return ERR_NOTFOUND;
	for (size_t i = 0; i < j->catalog.count; i++) /* a cut file is not that content */
		if (memcmp(j->catalog.entries[i].sha256, sha256, SHA_LEN) == 0 &&
		    j->catalog.entries[i].length != s->size)
			return ERR_NOTFOUND;
	return snprintf(path, size, "%s", s->path) < (int)size ? OK : ERR_TOOBIG;
}

/* Entries of these kinds that are not served yet. The caller frees. */
static const struct entry **
missing(const struct job *j, const struct served *s, enum entry_kind kind, size_t *n)
{
	const struct entry **list = calloc(j->catalog.count + 1, sizeof(const struct entry *));

	*n = 0;
	for (size_t i = 0; list != NULL && i < j->catalog.count; i++) {
		const struct entry *e = &j->catalog.entries[i];

		if (e->kind == kind && !served_has(s, e))
			list[(*n)++] = e;
	}
	return list;
}

/* DESIGN section 5: against the signed lengths, before anything is fetched. */
static enum err
check_space(struct job *j, const struct served *s, struct fault *f)
{
	uint64_t need = 0;

	for (size_t i = 0; i < j->catalog.count; i++) {
		const struct entry *e = &j->catalog.entries[i];

		if (e->kind != ENTRY_FULL && !served_has(s, e))
			need += e->length;
	}
	return job_space(j, need, f);
}

/* Deltas are handed on, and they are what new targets are rebuilt from. One that no source has is
 * reported and must not hold back the new version: clients without it take the full copy. */
static enum err
get_deltas(struct job *j, const struct served *s, struct fault *f)
{
	size_t n, count = 0;
	const struct entry **list = missing(j, s, ENTRY_DELTA, &n);
	struct want *wants = calloc(n + 1, sizeof *wants);
	enum err e = list != NULL && wants != NULL ? OK : ERR_NOMEM;

	for (size_t i = 0; e == OK && i < n; i++)
		if (!objects_have(&j->objects, list[i]->sha256))
			wants[count++] = (struct want){ .entry = list[i], .kind = BYTES_DELTA };
	if (e == OK)
		e = job_transfer(j, wants, count, f);
	free(wants);
	free(list);
	return e;
}

static enum err
get_content(struct job *j, const struct served *s, struct fault *f)
{
	size_t n;
	const struct entry **list = missing(j, s, ENTRY_SET, &n);
	char published[OBJECT_PATH];
	bool had = file_join(published, sizeof published, s->metadata, "timestamp.json") == OK &&
		   file_exists(published);
	enum err e = list != NULL ? job_obtain(j, list, n, had, f) : ERR_NOMEM;

	free(list);
	return e;
}

static enum err
publish_kind(
    struct job *j, const struct served *s, enum entry_kind kind, bool *changed, struct fault *f)
{
	size_t n, done = 0;
	const struct entry **list = missing(j, s, kind, &n);
	char from[OBJECT_PATH];
	enum err e = list != NULL ? OK : ERR_NOMEM;

	for (size_t i = 0; e == OK && i < n; i++) {
		e = job_find(j, list[i]->sha256, from, sizeof from);
		if (e == ERR_NOTFOUND && kind != ENTRY_SET) { /* helpers may be missing */
			e = OK;
			continue;
		}
		if (e != OK)
			(void)fault_set(f, e, "%s is not here", list[i]->path);
		if (e == OK)
			e = served_put(s, &j->objects, list[i], from, f);
		if (e == OK)
			list[done++] = list[i];
	}
	if (e == OK)
		e = served_sync(s, list, done, f);
	*changed = *changed || done != 0;
	free(list);
	return e;
}

/* DESIGN section 5: targets, delegated metadata, targets, snapshot, root, timestamp. */
static enum err
publish(struct job *j, const struct served *s, bool *changed, struct fault *f)
{
	enum err e;

	progress_phase(j->progress, PHASE_PUBLISH, "", NULL);
	e = publish_kind(j, s, ENTRY_DELTA, changed, f);
	if (e == OK)
		e = publish_kind(j, s, ENTRY_FULL, changed, f);
	if (e == OK)
		e = publish_kind(j, s, ENTRY_SET, changed, f);
	return e == OK ? documents_publish(j, s, changed, f) : e;
}

static enum err
sync_with(struct job *j, struct served *s, struct fault *f)
{
	bool changed = false;
	enum err e = job_refresh(j, f);

	if (e == OK)
		e = job_list(j, f);
	if (e == OK && !tuf_consistent(j->tuf))
		e = fault_set(f, ERR_UNSUPPORTED,
		    "the feed has no consistent snapshots: it cannot be mirrored");
	if (e == OK)
		e = objects_sweep(&j->objects, &j->catalog, f);
	if (e == OK)
		e = scrub_run(j, s, f);
	if (e == OK)
		e = check_space(j, s, f);
	if (e == OK)
		e = get_deltas(j, s, f);
	if (e == OK)
		e = get_content(j, s, f);
	if (e == OK)
		e = documents_older_roots(j, s);
	if (e == OK)
		e = publish(j, s, &changed, f);
	if (e == OK)
		e = objects_sweep(&j->objects, NULL, f);
	if (e == OK)
		retention_run(s, j->config->keep, j->config->grace_s);
	if (e == OK)
		scrub_done(j, false);
	if (e == OK)
		j->report->outcome = changed ? OUTCOME_UPDATED : OUTCOME_CURRENT;
	return e;
}

enum err
job_mirror(struct job *j, struct fault *f)
{
	struct served s = { .count = 0 };
	enum err e = served_open(&s, j->config->root, j->config->feed, f);

	j->find_held = find_served;
	j->mode = &s; /* until we return */
	if (e == OK)
		e = sync_with(j, &s, f);
	served_close(&s);
	j->mode = NULL;
	return e;
}
