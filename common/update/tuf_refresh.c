/* The workflow for the top-level roles: section 5.3 (root) to 5.6 (targets) of the specification,
 * in its order. Each step leaves what was trusted before alone until its document has passed. */
#include "base/clock.h"
#include "base/limits.h"
#include "update/tuf_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Section 5.3.11: after a rotation of online keys nothing of the old timestamp and snapshot counts,
 * or an attacker's far too high version would stay for ever. They go before the new root is stored:
 * killed in between, the next run meets the same rotation again. */
static enum err
forget_online(struct tuf *t)
{
	struct fault f = { OK, "" };
	enum err e;

	e = tuf_store_remove(&t->store, "timestamp", &f);
	if (e == OK)
		e = tuf_store_remove(&t->store, "snapshot", &f);
	if (e != OK)
		return tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &f);
	tuf_drop_top(t, TUF_TIMESTAMP);
	tuf_drop_top(t, TUF_SNAPSHOT);
	return OK;
}

static bool
rotated(const struct tuf_meta *old, const struct tuf_meta *new)
{
	return signers_lost_key(&old->roles[TUF_TIMESTAMP], &new->roles[TUF_TIMESTAMP]) ||
	       signers_lost_key(&old->roles[TUF_SNAPSHOT], &new->roles[TUF_SNAPSHOT]);
}

/* Sections 5.3.4 to 5.3.8 for one root: signed by the old root's keys and by its own. */
static enum err
accept_root(struct tuf *t, const char *name, struct buf *bytes)
{
	struct tuf_meta *old = t->top[TUF_ROOT], *m = NULL;
	enum err e;

	e = tuf_meta_read(&m, TUF_ROOT, bytes, &t->why);
	if (e == OK)
		e = tuf_meta_verify(m, &old->roles[TUF_ROOT], &t->why);
	if (e == OK)
		e = tuf_meta_fill(m, &t->why);
	if (e == OK)
		e = tuf_meta_verify(m, &m->roles[TUF_ROOT], &t->why);
	if (e == OK && m->version != old->version + 1)
		e = tuf_fail_u64(&t->why, m->version <= old->version ? ERR_ROLLBACK : ERR_VERIFY,
		    m->version <= old->version ? TUF_RULE_ROLLBACK : TUF_RULE_VERSION,
		    old->version + 1, m->version, "version");
	if (e == OK && rotated(old, m))
		e = forget_online(t);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	m->fresh = true;
	t->unchecked = true;
	e = tuf_adopt(t, m);
	return e == OK ? tuf_tell(t, "root", name, m, true) : e;
}

/* Signatures that counted under the old root need not count under the new one. */
static enum err
recheck_stored(struct tuf *t)
{
	struct tuf_failure w;
	enum err e;
	int type;

	for (type = TUF_TIMESTAMP; type < TUF_TYPES; type++) {
		if (t->top[type] == NULL)
			continue;
		tuf_fail_reset(&w, tuf_type_names[type]);
		e = tuf_meta_verify(t->top[type], &t->top[TUF_ROOT]->roles[type], &w);
		if (e == ERR_NOMEM)
			return tuf_fail(&t->why, e, TUF_RULE_STORE, NULL, NULL, "memory ran out");
		if (e != OK)
			tuf_drop_top(t, (enum tuf_type)type);
	}
	t->unchecked = false;
	return OK;
}

static enum err
next_root(struct tuf *t, const struct tuf_source *s)
{
	struct buf name, bytes;
	enum err e = tuf_file_name("root", t->top[TUF_ROOT]->version + 1, &name);

	if (e != OK) {
		buf_free(&name);
		return tuf_fail(&t->why, e, TUF_RULE_STORE, NULL, NULL, "memory ran out");
	}
	e = tuf_fetch(t, s, buf_text(&name), LIMIT_TUF_ROOT, &bytes);
	if (e == OK) {
		e = accept_root(t, buf_text(&name), &bytes);
		buf_free(&bytes);
	} else if (e == ERR_NOTFOUND) {
		tuf_fail_reset(&t->why, "");
		e = ERR_AGAIN; /* the newest is here */
	}
	buf_free(&name);
	return e;
}

static enum err
tell_root(struct tuf *t)
{
	struct buf name;
	enum err e = tuf_file_name("root", t->top[TUF_ROOT]->version, &name);

	if (e == OK)
		e = tuf_tell(t, "root", buf_text(&name), t->top[TUF_ROOT], false);
	buf_free(&name);
	return e;
}

/* Section 5.3. Intermediate roots may be expired; the last one may not. */
static enum err
update_root(struct tuf *t, const struct tuf_source *s)
{
	enum err e = tell_root(t);
	int i;

	for (i = 0; e == OK && i < LIMIT_TUF_ROOT_ROTATIONS; i++)
		e = next_root(t, s);
	if (e != OK && e != ERR_AGAIN)
		return e;
	if (t->unchecked && (e = recheck_stored(t)) != OK)
		return e;
	tuf_fail_reset(&t->why, "root.json");
	return tuf_meta_check_expiry(t->top[TUF_ROOT], t->now_ms, &t->why);
}

/* Section 5.4.3: neither the timestamp nor the snapshot it names may go down. */
static enum err
check_timestamp_rollback(struct tuf *t, const struct tuf_meta *m)
{
	const struct tuf_meta *old = t->top[TUF_TIMESTAMP], *snapshot = t->top[TUF_SNAPSHOT];
	uint64_t named = tuf_meta_file(m, "snapshot.json")->version, trusted = 0;

	if (old != NULL && m->version < old->version)
		return tuf_fail_u64(
		    &t->why, ERR_ROLLBACK, TUF_RULE_ROLLBACK, old->version, m->version, "version");
	if (old != NULL && m->version == old->version)
		return OK;
	if (old != NULL)
		trusted = tuf_meta_file(old, "snapshot.json")->version;
	/* Also when timestamp.json was lost: the stored snapshot remembers. */
	if (snapshot != NULL && snapshot->version > trusted)
		trusted = snapshot->version;
	if (named < trusted)
		return tuf_fail_u64(&t->why, ERR_ROLLBACK, TUF_RULE_ROLLBACK, trusted, named,
		    "version of snapshot.json");
	return OK;
}

static enum err
accept_timestamp(struct tuf *t, struct buf *bytes)
{
	struct tuf_meta *m = NULL, *old = t->top[TUF_TIMESTAMP];
	enum err e;

	e = tuf_meta_read(&m, TUF_TIMESTAMP, bytes, &t->why);
	if (e == OK)
		e = tuf_meta_verify(m, &t->top[TUF_ROOT]->roles[TUF_TIMESTAMP], &t->why);
	if (e == OK)
		e = tuf_meta_fill(m, &t->why);
	if (e == OK)
		e = check_timestamp_rollback(t, m);
	if (e == OK && old != NULL && m->version == old->version) {
		tuf_meta_free(m); /* nothing new: the stored one stays, whatever this one says */
		e = tuf_meta_check_expiry(old, t->now_ms, &t->why);
		return e == OK ? tuf_tell(t, "timestamp", "timestamp.json", old, false) : e;
	}
	if (e == OK)
		e = tuf_meta_check_expiry(m, t->now_ms, &t->why);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	m->fresh = true;
	e = tuf_adopt(t, m);
	return e == OK ? tuf_tell(t, "timestamp", "timestamp.json", m, true) : e;
}

/* Bytes from port 3333: whatever is wrong with them only costs a download. */
static enum err
try_hint(struct tuf *t, const void *timestamp, size_t len)
{
	struct buf bytes;
	enum err e;

	tuf_fail_reset(&t->why, "timestamp.json");
	buf_init(&bytes, LIMIT_TUF_TIMESTAMP);
	e = buf_append(&bytes, timestamp, len);
	if (e != OK)
		(void)tuf_fail_u64(&t->why, e, TUF_RULE_LENGTH, LIMIT_TUF_TIMESTAMP, len, "length");
	if (e == OK)
		e = accept_timestamp(t, &bytes);
	buf_free(&bytes);
	if (e != OK)
		t->hint = t->why;
	return e;
}

static enum err
update_timestamp(struct tuf *t, const struct tuf_source *s, const void *hint, size_t hint_len)
{
	struct buf bytes;
	enum err e;

	tuf_fail_reset(&t->hint, "timestamp.json");
	if (hint != NULL && try_hint(t, hint, hint_len) == OK)
		return OK;
	e = tuf_fetch(t, s, "timestamp.json", LIMIT_TUF_TIMESTAMP, &bytes);
	if (e != OK)
		return e;
	e = accept_timestamp(t, &bytes);
	buf_free(&bytes);
	return e;
}

/* The stored document serves when it is exactly what is asked for and still valid. */
static bool
stored_serves(const struct tuf *t, const struct tuf_meta *m, const struct tuf_metafile *file)
{
	struct tuf_failure w;

	if (m == NULL || m->version != file->version || m->expires_ms <= t->now_ms)
		return false;
	tuf_fail_reset(&w, "");
	return tuf_meta_check_bytes(file, &m->bytes, &w) == OK;
}

static enum err
tell_versioned(struct tuf *t, const struct tuf_meta *m, bool fresh)
{
	struct buf name;
	enum err e;

	e = tuf_file_name(tuf_type_names[m->type], tuf_consistent(t) ? m->version : 0, &name);
	if (e == OK)
		e = tuf_tell(t, tuf_type_names[m->type], buf_text(&name), m, fresh);
	buf_free(&name);
	return e;
}

/* Section 5.5.5: no role may vanish from the snapshot or go down. */
static enum err
check_snapshot_rollback(struct tuf *t, const struct tuf_meta *m)
{
	const struct tuf_meta *old = t->top[TUF_SNAPSHOT];
	const struct tuf_metafile *was, *is;
	char what[160];
	size_t i;

	for (i = 0; old != NULL && i < old->n_files; i++) {
		was = &old->files[i];
		is = tuf_meta_file(m, was->name);
		(void)snprintf(what, sizeof(what), "version of %.100s", was->name);
		if (is == NULL || is->version < was->version)
			return tuf_fail_u64(&t->why, ERR_ROLLBACK, TUF_RULE_ROLLBACK, was->version,
			    is != NULL ? is->version : 0, what);
	}
	return OK;
}

static enum err
update_snapshot(struct tuf *t, const struct tuf_source *s)
{
	const struct tuf_metafile *file = tuf_meta_file(t->top[TUF_TIMESTAMP], "snapshot.json");
	struct tuf_meta *m;
	enum err e;

	if (stored_serves(t, t->top[TUF_SNAPSHOT], file))
		return tell_versioned(t, t->top[TUF_SNAPSHOT], false);
	e = tuf_obtain(
	    t, s, TUF_SNAPSHOT, "snapshot", file, &t->top[TUF_ROOT]->roles[TUF_SNAPSHOT], &m);
	if (e != OK)
		return e;
	e = check_snapshot_rollback(t, m);
	if (e == OK)
		e = tuf_meta_check_expiry(m, t->now_ms, &t->why);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	e = tuf_adopt(t, m);
	return e == OK ? tell_versioned(t, m, true) : e;
}

static enum err
update_targets(struct tuf *t, const struct tuf_source *s)
{
	const struct tuf_metafile *file = tuf_meta_file(t->top[TUF_SNAPSHOT], "targets.json");
	struct tuf_meta *m;
	enum err e;

	if (stored_serves(t, t->top[TUF_TARGETS], file))
		return tell_versioned(t, t->top[TUF_TARGETS], false);
	e = tuf_obtain(
	    t, s, TUF_TARGETS, "targets", file, &t->top[TUF_ROOT]->roles[TUF_TARGETS], &m);
	if (e != OK)
		return e;
	e = tuf_meta_check_expiry(m, t->now_ms, &t->why);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	e = tuf_adopt(t, m);
	return e == OK ? tell_versioned(t, m, true) : e;
}

/* Section 5.1: one time for the whole update, never before the newest that was verified. */
static void
fix_time(struct tuf *t)
{
	int64_t wall = clock_wall_ms();

	t->behind_ms = t->keep_floor && wall < t->floor_ms ? t->floor_ms - wall : 0;
	t->now_ms = t->behind_ms > 0 ? t->floor_ms : wall;
}

static enum err
keep_time(struct tuf *t)
{
	struct fault f = { OK, "" };
	enum err e;

	if (t->now_ms <= t->floor_ms)
		return OK;
	t->floor_ms = t->now_ms;
	if (!t->keep_floor)
		return OK;
	e = tuf_store_write_time(&t->store, t->now_ms, &f);
	return e == OK ? OK : tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &f);
}

enum err
tuf_refresh(struct tuf *t, const struct tuf_source *s, const void *timestamp, size_t timestamp_len,
    struct fault *f)
{
	enum err e;

	t->refreshed = false;
	tuf_forget_roles(t);
	tuf_fail_reset(&t->why, "");
	fix_time(t);
	e = update_root(t, s);
	if (e == OK)
		e = update_timestamp(t, s, timestamp, timestamp_len);
	if (e == OK)
		e = update_snapshot(t, s);
	if (e == OK)
		e = update_targets(t, s);
	if (e == OK)
		e = keep_time(t);
	t->refreshed = e == OK;
	if (e == OK)
		tuf_fail_reset(&t->why, "");
	return tuf_fail_to(&t->why, e, f);
}
