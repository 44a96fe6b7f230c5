/* obtain.c - makes each target of a list an object: from deltas where that is cheaper, else from
 * its compressed copy or itself; by the plan of plan.c. */
#include "job.h"

#include "plan.h"
#include "unzip.h"

#include "base/limits.h"
#include "base/log.h"
#include "os/file.h"
#include "update/delta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err
job_find(struct job *j, const uint8_t sha256[SHA_LEN], char *path, size_t size)
{
	char object[OBJECT_PATH];

	objects_path(&j->objects, "objects", sha256, object);
	if (!file_exists(object))
		return j->find_held(j, sha256, path, size);
	return snprintf(path, size, "%s", object) < (int)size ? OK : ERR_TOOBIG;
}

static bool
held(void *ctx, const uint8_t sha256[SHA_LEN])
{
	char path[OBJECT_PATH];

	return job_find(ctx, sha256, path, sizeof path) == OK;
}

/* ---- deltas ---- */

static enum err
fetch_chains(struct job *j, const struct plan *plans, size_t n, struct fault *f)
{
	size_t max = 0, count = 0;
	struct want *wants;
	enum err e;

	for (size_t i = 0; i < n; i++)
		max += plans[i].chain_count;
	wants = calloc(max + 1, sizeof *wants);
	if (wants == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; plans[i].how == PLAN_CHAIN && k < plans[i].chain_count; k++)
			if (!held(j, plans[i].chain[k]->sha256))
				wants[count++] = (struct want){ .entry = plans[i].chain[k],
					.kind = BYTES_DELTA };
	e = job_transfer(j, wants, count, f);
	free(wants);
	return e;
}

/* Paths of the chain's deltas; ERR_NOTFOUND when one could not be had. */
static enum err
chain_paths(struct job *j, const struct plan *p, char (*paths)[OBJECT_PATH], const char **list)
{
	enum err e = OK;

	for (size_t k = 0; e == OK && k < p->chain_count; k++) {
		e = job_find(j, p->chain[k]->sha256, paths[k], OBJECT_PATH);
		list[k] = paths[k];
	}
	return e;
}

static enum err
rebuild(struct job *j, const struct entry *t, const struct plan *p, struct fault *f)
{
	char base[OBJECT_PATH], out[OBJECT_PATH];
	const char *list[LIMIT_DELTA_CHAIN];
	char(*paths)[OBJECT_PATH] = calloc(p->chain_count, sizeof *paths);
	struct delta_apply a = { .old_path = base,
		.deltas = list,
		.delta_count = p->chain_count,
		.out_path = out,
		.new_len = t->length,
		.new_sha256 = t->sha256,
		.cancel = &j->cancel };
	enum err e = paths != NULL ? job_find(j, p->base, base, sizeof base) : ERR_NOMEM;

	if (e == OK)
		e = chain_paths(j, p, paths, list);
	objects_path(&j->objects, "build", t->sha256, out);
	if (e == OK) {
		progress_phase(j->progress, PHASE_DELTA, t->path, NULL);
		e = delta_apply(&a, f);
	}
	if (e == OK)
		e = objects_take(&j->objects, out, t->sha256, f);
	if (e == OK)
		log_info("fetch.rebuilt", "file=%s deltas=%zu passes=%u bytes=%llu", t->path,
		    p->chain_count, a.passes, (unsigned long long)t->length);
	free(paths);
	return e;
}

static bool
ours(enum err e)
{
	return e == ERR_NOSPACE || e == ERR_IO || e == ERR_NOMEM || e == ERR_CANCELED;
}

/* Applies every chain; a plan that cannot be followed becomes PLAN_FULL, or PLAN_WAIT. */
static enum err
follow_chains(struct job *j, const struct entry *const *list, struct plan *plans, size_t n,
    struct fault *f)
{
	for (size_t i = 0; i < n; i++) {
		struct fault why = { 0 };
		enum err e;

		if (plans[i].how != PLAN_CHAIN)
			continue;
		e = rebuild(j, list[i], &plans[i], &why);
		if (e == OK) {
			plans[i].how = PLAN_HELD;
			continue;
		}
		if (ours(e))
			return fault_set(f, e, "%s", fault_text(&why));
		if (e != ERR_NOTFOUND) /* else the missing file was reported */
			job_refuse(j, j->source, list[i]->path, "delta", e, fault_text(&why));
		plans[i].how = j->config->delta == DELTA_REQUIRE ? PLAN_WAIT : PLAN_FULL;
		plans[i].why = "the deltas could not be used";
	}
	return OK;
}

/* ---- full copies ---- */

static enum err
unpack_copy(struct job *j, const struct want *w, struct fault *f)
{
	char in[OBJECT_PATH], out[OBJECT_PATH];
	struct fault why = { 0 };
	struct tuf_failure bad;
	enum err e;

	objects_path(&j->objects, "objects", w->first->sha256, in);
	objects_path(&j->objects, "build", w->entry->sha256, out);
	progress_phase(j->progress, PHASE_VERIFY, w->entry->path, NULL);
	e = unzip_file(in, out, w->entry->length, &j->cancel, &why);
	if (e == OK)
		e = objects_check(out, w->entry, &j->cancel, &bad);
	if (e == OK)
		return objects_take(&j->objects, out, w->entry->sha256, f);
	(void)unlink(out);
	if (ours(e))
		return fault_set(f, e, "%s", fault_text(&why));
	job_refuse(j, j->source, w->first->path, "full", e,
	    why.code != OK ? why.text : "the compressed copy does not hold its target");
	return ERR_VERIFY;
}

/* Compressed copies that came are unpacked; where one lies, the target itself is wanted. */
static enum err
unpack_copies(struct job *j, struct want *wants, size_t n, bool *again, struct fault *f)
{
	for (size_t i = 0; i < n; i++) {
		enum err e;

		if (wants[i].got == NULL || wants[i].got == wants[i].entry)
			continue;
		e = unpack_copy(j, &wants[i], f);
		if (e != OK && e != ERR_VERIFY)
			return e;
		if (e == ERR_VERIFY) {
			wants[i].got = NULL;
			wants[i].first = NULL;
			*again = true;
		}
	}
	return OK;
}

static enum err
fetch_full(struct job *j, const struct entry *const *list, const struct plan *plans, size_t n,
    struct fault *f)
{
	struct want *wants = calloc(n + 1, sizeof *wants);
	bool again = false;
	size_t count = 0;
	enum err e;

	if (wants == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct entry *z = list[i]->full;

		if (plans[i].how != PLAN_FULL)
			continue;
		wants[count++] = (struct want){ .entry = list[i],
			.first = z != NULL && z->length < list[i]->length ? z : NULL,
			.kind = list[i]->kind == ENTRY_DELTA ? BYTES_DELTA : BYTES_FULL };
	}
	e = job_transfer(j, wants, count, f);
	if (e == OK)
		e = unpack_copies(j, wants, count, &again, f);
	if (e == OK && again)
		e = job_transfer(j, wants, count, f);
	for (size_t i = 0; e == OK && i < count; i++)
		if (wants[i].got == NULL)
			e = fault_set(f, ERR_NOTFOUND, "%s could not be had from any source",
			    wants[i].entry->path);
	free(wants);
	return e;
}

/* ---- together ---- */

enum err
job_space(struct job *j, uint64_t need, struct fault *f)
{
	uint64_t have, total, floor = j->config->disk_floor;
	enum err e = file_disk(j->config->work, &have, &total, f);

	if (floor == 0 && j->config->mode == FETCH_MIRROR)
		floor = total / 10 < LIMIT_FETCH_FLOOR ? total / 10 : LIMIT_FETCH_FLOOR;
	if (e != OK || need == 0 || (have > need && have - need >= floor))
		return e;
	return fault_set(f, ERR_NOSPACE,
	    "%llu bytes are needed, %llu are free and %llu must stay free at %s; free some space",
	    (unsigned long long)need, (unsigned long long)have, (unsigned long long)floor,
	    j->config->work);
}

static enum err
check_space(struct job *j, const struct entry *const *list, const struct plan *plans, size_t n,
    struct fault *f)
{
	uint64_t need = 0;

	for (size_t i = 0; i < n; i++)
		if (plans[i].how != PLAN_HELD)
			need += list[i]->length + (list[i]->pack ? list[i]->length : 0) +
			    (plans[i].how == PLAN_CHAIN ? plans[i].chain_bytes : 0) +
			    (plans[i].how == PLAN_FULL && list[i]->full != NULL
				    ? list[i]->full->length
				    : 0);
	return job_space(j, need, f);
}

static enum err
waits(struct job *j, const struct entry *const *list, const struct plan *plans, size_t n,
    struct fault *f)
{
	for (size_t i = 0; i < n; i++)
		if (plans[i].how == PLAN_WAIT) {
			j->waiting = true;
			return fault_set(f, ERR_AGAIN, "%s waits: %s", list[i]->path, plans[i].why);
		}
	return OK;
}

enum err
job_obtain(struct job *j, const struct entry *const *list, size_t n, bool had_set, struct fault *f)
{
	struct plan *plans = calloc(n + 1, sizeof *plans);
	enum err e = plans != NULL ? OK : ERR_NOMEM;

	for (size_t i = 0; e == OK && i < n; i++) {
		plan_target(&plans[i], &j->catalog, list[i], j->config->delta, had_set, held, j);
		log_debug("fetch.plan",
		    "file=%s how=%d deltas=%zu delta_bytes=%llu full_bytes=%llu why=\"%s\"",
		    list[i]->path, (int)plans[i].how, plans[i].chain_count,
		    (unsigned long long)plans[i].chain_bytes,
		    (unsigned long long)plans[i].full_bytes, plans[i].why);
	}
	if (e == OK)
		e = check_space(j, list, plans, n, f);
	if (e == OK)
		e = waits(j, list, plans, n, f); /* before anything is downloaded in vain */
	if (e == OK)
		e = fetch_chains(j, plans, n, f);
	if (e == OK)
		e = follow_chains(j, list, plans, n, f);
	if (e == OK)
		e = waits(j, list, plans, n, f);
	if (e == OK)
		e = fetch_full(j, list, plans, n, f);
	free(plans);
	return e;
}
