/* repo_publish.c - a new version: targets stored, deltas made, metadata released. */
#include "update/repo_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct change {
	char *name;
	char old_sha256[65]; /* "" when the target is new */
};

struct publishing {
	struct repo *r;
	const struct repo_publish *how;
	struct repo_report *report;
	struct fault *f;
	struct repo_entries next;
	struct change *changes;
	size_t count;
	uint64_t version;
};

static enum err
copy_entries(struct repo_entries *to, const struct repo_entries *from)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < from->count; i++) {
		cJSON *custom = cJSON_Duplicate(from->list[i].custom, 1);

		e = repo_entry_put(
		    to, from->list[i].path, from->list[i].length, from->list[i].sha256, custom);
	}
	return e;
}

static enum err
note_change(struct publishing *x, const char *name, const char *old_sha256)
{
	void *list = realloc(x->changes, (x->count + 1) * sizeof *x->changes);

	if (list == NULL)
		return ERR_NOMEM;
	x->changes = list;
	x->changes[x->count].name = strdup(name);
	(void)snprintf(x->changes[x->count].old_sha256, 65, "%s", old_sha256);
	return x->changes[x->count++].name != NULL ? OK : ERR_NOMEM;
}

static enum err
pack_custom(bool pack, cJSON **out)
{
	cJSON *inner;
	enum err e;

	*out = NULL;
	if (!pack)
		return OK;
	*out = cJSON_CreateObject();
	e = *out != NULL ? json_add_object(*out, "atalaia", &inner) : ERR_NOMEM;
	return e == OK ? json_add_bool(inner, "pack", true) : e;
}

static bool
is_pack(const struct repo_entry *x)
{
	return cJSON_IsTrue(json_get(json_get(x->custom, "atalaia"), "pack"));
}

static enum err
store_change(struct publishing *x, const char *name, const char *path, bool pack,
    const char *old_sha256)
{
	uint64_t length;
	char sha256[65];
	cJSON *custom = NULL;
	enum err e = repo_store(x->r, name, path, &length, sha256, x->f);

	if (e == OK)
		e = pack_custom(pack, &custom);
	if (e != OK) {
		cJSON_Delete(custom);
		return e;
	}
	x->report->changed_bytes += length;
	e = repo_entry_put(&x->next, name, length, sha256, custom);
	return e == OK ? note_change(x, name, old_sha256) : e;
}

static enum err
take_file(struct publishing *x, const char *name, const char *path, bool pack)
{
	const struct repo_entry *old = repo_entry_find(&x->r->entries, name);
	uint64_t length;
	char sha256[65];
	enum err e = repo_hash_file(path, &length, sha256, x->f);

	if (e == OK && length > (pack ? (uint64_t)LIMIT_PACK_BYTES : LIMIT_TARGET_BYTES))
		e = fault_set(x->f, ERR_TOOBIG, "%s is larger than clients accept", path);
	if (e != OK)
		return e;
	if (old != NULL && strcmp(old->sha256, sha256) == 0 && is_pack(old) == pack)
		return OK;
	if (x->how->progress != NULL)
		x->how->progress(x->how->arg, "store", name, 0, length);
	return store_change(x, name, path, pack, old != NULL ? old->sha256 : "");
}

static enum err
take_bytes(struct publishing *x, const char *name, const struct buf *bytes)
{
	char path[REPO_PATH];
	enum err e = repo_join(path, x->r->dir, "staged/bytes.tmp", x->f);

	if (e == OK)
		e = file_replace(path, bytes->data != NULL ? bytes->data : (const void *)"",
		    bytes->len, 0644, x->f);
	if (e == OK)
		e = take_file(x, name, path, false);
	(void)unlink(path);
	return e;
}

static bool
is_pending(const struct repo *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->pending_count; i++)
		if (strcmp(r->pending[i].name, name) == 0)
			return true;
	return false;
}

static enum err
take_all(struct publishing *x)
{
	struct repo *r = x->r;
	size_t i;
	enum err e = OK;

	for (i = 0; i < r->entries.count; i++) {
		const char *name = r->entries.list[i].path;

		if (!r->whole || repo_is_helper(name) || is_pending(r, name) ||
		    (r->marker && strcmp(name, REPO_MARKER) == 0))
			continue;
		repo_entry_drop(&x->next, name);
		x->report->removed++;
	}
	for (i = 0; i < r->removed_count; i++) {
		repo_entry_drop(&x->next, r->removed[i]);
		x->report->removed++;
	}
	for (i = 0; e == OK && i < r->pending_count; i++) {
		const struct repo_pending *p = &r->pending[i];

		e = p->path != NULL ? take_file(x, p->name, p->path, p->pack) :
		    take_bytes(x, p->name, &p->bytes);
	}
	x->report->changed = (uint32_t)x->count;
	return e;
}

/* <sha256>:<size>:Atalaia.Marker.<feed>.<version> for the content that the engine probe sends. */
static enum err
add_marker(struct publishing *x)
{
	char content[160], line[320], sum[HASH_SHA256_TEXT];
	int n = snprintf(content, sizeof content, "atalaia marker %s %" PRIu64 "\n", x->r->feed,
	    x->version);
	struct buf text;
	enum err e;

	if (!x->r->marker)
		return OK;
	hash_sha256_text(content, (size_t)n, sum);
	(void)snprintf(line, sizeof line, "%s:%d:Atalaia.Marker.%s.%" PRIu64 "\n", sum, n,
	    x->r->feed, x->version);
	buf_init(&text, sizeof line);
	e = buf_puts(&text, line);
	if (e == OK)
		e = take_bytes(x, REPO_MARKER, &text);
	buf_free(&text);
	return e;
}

static enum err
make_helpers(struct publishing *x)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < x->count; i++) {
		const struct change *c = &x->changes[i];

		if (strcmp(c->name, REPO_MARKER) == 0)
			continue; /* a hundred bytes */
		if (c->old_sha256[0] != '\0' && x->r->keep_deltas > 0)
			e = repo_make_delta(
			    x->r, &x->next, c->name, c->old_sha256, x->how, x->report, x->f);
		if (e == OK)
			e = repo_make_full(x->r, &x->next, c->name, x->how, x->report, x->f);
	}
	return e == OK ? repo_drop_helpers(x->r, &x->next, x->f) : e;
}

static enum err
stage_targets(struct publishing *x)
{
	cJSON *body = NULL, *list = NULL;
	const cJSON *del = x->r->delegations != NULL ? x->r->delegations :
	    json_get(x->r->targets.body, "delegations");
	enum err e = repo_body(&body, "targets", x->version, x->r->days.targets, x->f);

	if (e == OK)
		e = repo_entries_json(&x->next, &list);
	if (e == OK && !cJSON_AddItemToObject(body, "targets", list))
		e = ERR_NOMEM;
	else if (e == OK)
		list = NULL;
	if (e == OK && del != NULL &&
	    !cJSON_AddItemToObject(body, "delegations", cJSON_Duplicate(del, 1)))
		e = ERR_NOMEM;
	if (e == OK)
		e = repo_stage(x->r, "targets", body, NULL, 0, x->f);
	cJSON_Delete(list);
	cJSON_Delete(body);
	return e;
}

/* What a client of the previous version fetches besides content. */
static uint64_t
metadata_bytes(const struct repo *r)
{
	const struct signed_doc *all[] = { &r->timestamp, &r->snapshot, &r->targets };
	static const char *const names[] = { "timestamp", "snapshot", "targets" };
	uint64_t sum = 0, version, size;
	char path[REPO_PATH];
	size_t i;

	for (i = 0; i < 3; i++) {
		if (json_get_u64(all[i]->body, "version", JSON_MAX_INT, &version, NULL) == OK &&
		    repo_meta_path(r, path, i == 0 ? 0 : version, names[i], NULL) == OK &&
		    file_size(path, &size) == OK)
			sum += size;
	}
	return sum;
}

static void
fill_report(const struct repo *r, struct repo_report *report)
{
	size_t i;

	report->version = repo_version(r);
	for (i = 0; i < r->entries.count; i++) {
		if (repo_is_helper(r->entries.list[i].path))
			continue;
		report->targets++;
		report->bytes += r->entries.list[i].length;
	}
	report->metadata_bytes = metadata_bytes(r);
}

static enum err
still_waiting(const char *waiting, struct fault *f)
{
	if (waiting[0] == '\0')
		return OK;
	return fault_set(f, ERR_AGAIN,
	    "signatures of %s are missing: take it with `atalaia-repo export`, "
	    "sign it with `atalaia-repo sign`, bring it back with `atalaia-repo import`",
	    waiting);
}

static enum err
publish_new(struct publishing *x)
{
	char waiting[65];
	enum err e = add_marker(x);

	if (e == OK)
		e = make_helpers(x);
	if (e == OK) {
		x->r->used.targets = x->version;
		e = repo_save_counters(x->r, x->f);
	}
	if (e == OK)
		e = repo_save_config(x->r, x->f);
	if (e == OK)
		e = stage_targets(x);
	if (e == OK)
		e = repo_release(x->r, false, waiting, x->f);
	return e == OK ? still_waiting(waiting, x->f) : e;
}

static bool
nothing_to_do(const struct publishing *x)
{
	return x->count == 0 && x->report->removed == 0 && x->r->delegations == NULL &&
	    !x->how->allow_unchanged && repo_version(x->r) > 0;
}

static enum err
publish_changes(struct publishing *x)
{
	struct repo *r = x->r;
	enum err e = copy_entries(&x->next, &r->entries);

	x->report->from = repo_version(r);
	x->version = (r->used.targets > x->report->from ? r->used.targets : x->report->from) + 1;
	if (e == OK)
		e = take_all(x);
	if (e == OK && !nothing_to_do(x))
		e = publish_new(x);
	if (e == OK)
		fill_report(r, x->report);
	return e;
}

enum err
repo_publish(struct repo *r, const struct repo_publish *how, struct repo_report *report,
    struct fault *f)
{
	static const struct repo_publish plain;
	struct publishing *x = calloc(1, sizeof *x);
	char path[REPO_PATH];
	size_t i;
	enum err e;

	memset(report, 0, sizeof *report);
	if (x == NULL)
		return ERR_NOMEM;
	x->r = r;
	x->how = how != NULL ? how : &plain;
	x->report = report;
	x->f = f;
	if (r->root.body == NULL)
		e = fault_set(f, ERR_STATE,
		    "the root of %s waits for its signatures: sign staged/root.json "
		    "with `atalaia-repo root sign`",
		    r->feed);
	else
		e = publish_changes(x);
	for (i = 0; i < x->count; i++)
		free(x->changes[i].name);
	free(x->changes);
	repo_entries_free(&x->next);
	free(x);
	repo_pending_clear(r);
	cJSON_Delete(r->delegations);
	r->delegations = NULL;
	if (repo_join(path, r->dir, "staged/folder.pack", NULL) == OK)
		(void)unlink(path);
	return e == OK ? repo_sweep(r, f) : e;
}

enum err
repo_release_all(struct repo *r, char waiting[65], struct fault *f)
{
	struct repo_publish how = { .allow_unchanged = true };
	struct repo_report report;
	struct fault why = { 0 };
	enum err e = repo_release(r, false, waiting, f);

	if (e != OK || !r->needs_version)
		return e;
	e = repo_publish(r, &how, &report, &why);
	if (e == ERR_AGAIN) { /* keys of targets are elsewhere */
		(void)snprintf(waiting, 65, "targets");
		return OK;
	}
	return e == OK ? OK : fault_set(f, e, "%s", fault_text(&why));
}

enum err
repo_publish_staged(struct repo *r, struct repo_report *report, struct fault *f)
{
	char waiting[65];
	uint64_t from = repo_version(r);
	enum err e = repo_release_all(r, waiting, f);

	memset(report, 0, sizeof *report);
	report->from = from;
	fill_report(r, report);
	return e == OK ? still_waiting(waiting, f) : e;
}

void
repo_clamav_marker(struct repo *r, bool on)
{
	r->marker = on;
}

/* ---- signing again ---- */

static bool
targets_aged(const struct repo *r)
{
	const cJSON *expires = json_get(r->targets.body, "expires");
	int64_t at;

	return cJSON_IsString(expires) &&
	    clock_parse(expires->valuestring, strlen(expires->valuestring), &at) == OK &&
	    at - clock_wall_ms() < (int64_t)r->days.targets * 86400000ll / 3;
}

enum err
repo_timestamp(struct repo *r, bool force, uint64_t *version, struct fault *f)
{
	struct repo_publish how = { .allow_unchanged = true };
	struct repo_report report;
	char waiting[65];
	enum err e;

	*version = 0;
	if (repo_version(r) == 0)
		return fault_set(f, ERR_STATE, "nothing of %s is public yet", r->feed);
	/* a new version of targets, because the version is part of the set (its marker) */
	if (force || targets_aged(r))
		e = repo_publish(r, &how, &report, f);
	else
		e = repo_release(r, true, waiting, f);
	return e == OK ? json_get_u64(r->timestamp.body, "version", JSON_MAX_INT, version, f) : e;
}
