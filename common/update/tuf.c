/* Opening, closing and asking; the parts of the workflow that more than one step needs. */
#include "update/tuf.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "update/tuf_client.h"
#include "update/tuf_path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A root is trusted on its own when its own threshold of its own keys signed it. */
static enum err
read_own_root(struct buf *bytes, struct tuf_meta **out, struct tuf_failure *w)
{
	struct tuf_meta *m;
	enum err e = tuf_meta_read(&m, TUF_ROOT, bytes, w);

	*out = NULL;
	if (e != OK)
		return e;
	e = tuf_meta_fill(m, w);
	if (e == OK)
		e = tuf_meta_verify(m, &m->roles[TUF_ROOT], w);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	*out = m;
	return OK;
}

static enum err
read_given_root(const void *root, size_t len, struct tuf_meta **out, struct tuf_failure *w)
{
	struct buf bytes;
	enum err e;

	tuf_fail_reset(w, "initial root");
	*out = NULL;
	if (len > LIMIT_TUF_ROOT)
		return tuf_fail(w, ERR_TOOBIG, TUF_RULE_LENGTH, NULL, NULL,
		    "a root has at most %d bytes", LIMIT_TUF_ROOT);
	buf_init(&bytes, LIMIT_TUF_ROOT);
	e = buf_append(&bytes, root, len);
	if (e != OK)
		(void)tuf_fail(w, e, TUF_RULE_STORE, NULL, NULL, "memory ran out");
	if (e == OK)
		e = read_own_root(&bytes, out, w);
	buf_free(&bytes);
	return e;
}

static enum err
store_given_root(
    const struct tuf_store *s, const void *root, size_t len, struct tuf_meta **out, struct fault *f)
{
	struct tuf_failure w;
	enum err e = read_given_root(root, len, out, &w);

	if (e != OK)
		return tuf_fail_to(&w, e, f);
	e = tuf_store_write(s, "root", root, len, f);
	if (e != OK) {
		tuf_meta_free(*out);
		*out = NULL;
	}
	return e;
}

enum err
tuf_init(const char *dir, const void *root, size_t len, struct fault *f)
{
	struct tuf_store s;
	struct tuf_meta *m = NULL;
	enum err e = tuf_store_open(&s, dir, f);

	if (e != OK)
		return e;
	e = store_given_root(&s, root, len, &m, f);
	tuf_meta_free(m);
	tuf_store_close(&s);
	return e;
}

/* Errors that say something about the bytes, and not about memory or the disk at this moment. */
static bool
is_verdict(enum err e)
{
	return e == ERR_PARSE || e == ERR_AUTH || e == ERR_VERIFY || e == ERR_TOOBIG ||
	       e == ERR_UNSUPPORTED;
}

/* The stored root; when it is lost or destroyed, the initial root takes its place. */
static enum err
load_root(struct tuf *t, const struct tuf_options *o, struct fault *f)
{
	struct buf bytes;
	struct fault own = { OK, "" };
	enum err e;

	buf_init(&bytes, LIMIT_TUF_ROOT);
	tuf_fail_reset(&t->why, "root.json");
	e = tuf_store_read(&t->store, "root", &bytes, &own);
	if (e == OK)
		e = read_own_root(&bytes, &t->top[TUF_ROOT], &t->why);
	else
		(void)tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &own);
	buf_free(&bytes);
	if (e == OK)
		return OK;
	if (o->root == NULL || (e != ERR_NOTFOUND && !is_verdict(e)))
		return tuf_fail_to(&t->why, e, f);
	if (e != ERR_NOTFOUND)
		log_warn(
		    "tuf.root-lost", "dir=%s reason=%s", log_q(t->store.dir), log_q(t->why.text));
	return store_given_root(&t->store, o->root, o->root_len, &t->top[TUF_ROOT], f);
}

/* What the folder holds for one type, when its signatures still count. Expiry is judged later: old
 * files serve against rollback. Lack of memory is no reason to forget a file. */
static enum err
load_top(struct tuf *t, enum tuf_type type, struct fault *f)
{
	struct tuf_failure w;
	struct tuf_meta *m = NULL;
	struct buf bytes;
	enum err e;

	buf_init(&bytes, tuf_type_limit(type));
	tuf_fail_reset(&w, tuf_type_names[type]);
	e = tuf_store_read(&t->store, tuf_type_names[type], &bytes, NULL);
	if (e == OK)
		e = tuf_meta_read(&m, type, &bytes, &w);
	if (e == OK)
		e = tuf_meta_verify(m, &t->top[TUF_ROOT]->roles[type], &w);
	if (e == OK)
		e = tuf_meta_fill(m, &w);
	buf_free(&bytes);
	if (e == OK) {
		t->top[type] = m;
		return OK;
	}
	tuf_meta_free(m);
	if (e == ERR_NOTFOUND)
		return OK;
	if (e == ERR_NOMEM)
		return fault_set(f, e, "%s", err_text(e));
	log_info("tuf.stored-unused", "dir=%s file=%s reason=%s", log_q(t->store.dir),
	    tuf_type_names[type], log_q(w.text[0] != '\0' ? w.text : err_text(e)));
	return OK;
}

enum err
tuf_open(struct tuf **out, const struct tuf_options *o, struct fault *f)
{
	struct tuf *t = calloc(1, sizeof(*t));
	int type;
	enum err e;

	*out = NULL;
	if (t == NULL)
		return ERR_NOMEM;
	t->accepted = o->accepted;
	t->accepted_ctx = o->accepted_ctx;
	t->keep_floor = o->keep_floor;
	e = tuf_store_open(&t->store, o->dir, f);
	if (e == OK)
		e = load_root(t, o, f);
	for (type = TUF_TIMESTAMP; e == OK && type < TUF_TYPES; type++)
		e = load_top(t, (enum tuf_type)type, f);
	if (e != OK) {
		tuf_close(t);
		return e;
	}
	if (t->keep_floor)
		t->floor_ms = tuf_store_read_time(&t->store);
	t->now_ms = clock_wall_ms();
	tuf_fail_reset(&t->why, "");
	tuf_fail_reset(&t->hint, "");
	*out = t;
	return OK;
}

void
tuf_close(struct tuf *t)
{
	int i;

	if (t == NULL)
		return;
	tuf_forget_roles(t);
	free(t->edges);
	for (i = 0; i < TUF_TYPES; i++)
		tuf_meta_free(t->top[i]);
	tuf_store_close(&t->store);
	free(t);
}

enum err
tuf_tell(struct tuf *t, const char *role, const char *file, const struct tuf_meta *m, bool fresh)
{
	struct tuf_document d = { .role = role,
		.file = file,
		.version = m->version,
		.bytes = m->bytes.data,
		.len = m->bytes.len,
		.fresh = fresh };
	struct fault f = { OK, "" };
	enum err e;

	if (t->accepted == NULL)
		return OK;
	e = t->accepted(t->accepted_ctx, &d, &f);
	return e == OK ? OK : tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &f);
}

enum err
tuf_file_name(const char *role, uint64_t version, struct buf *out)
{
	enum err e = OK;

	buf_init(out, 3 * 4096);
	if (version > 0)
		e = buf_printf(out, "%" PRIu64 ".", version);
	if (e == OK)
		e = tuf_path_encode(role, out);
	if (e == OK)
		e = buf_puts(out, ".json");
	return e;
}

enum err
tuf_fetch(struct tuf *t, const struct tuf_source *s, const char *file, size_t max, struct buf *out)
{
	struct fault f = { OK, "" };
	enum err e;

	tuf_fail_reset(&t->why, file);
	buf_init(out, max);
	if (s == NULL)
		return tuf_fail(&t->why, ERR_NOTFOUND, TUF_RULE_FETCH, NULL, NULL,
		    "it is not in the folder and nothing is to be fetched");
	e = s->fetch(s->ctx, file, max, out, &f);
	if (e == OK)
		return OK;
	buf_free(out);
	if (e == ERR_TOOBIG)
		return tuf_fail_u64(
		    &t->why, e, TUF_RULE_LENGTH, max, max + 1, "there are more bytes than allowed");
	return tuf_fail_fault(&t->why, e, TUF_RULE_FETCH, &f);
}

static size_t
limit_of(enum tuf_type type, const struct tuf_metafile *file)
{
	size_t max = tuf_type_limit(type);

	return file->has_length && file->length < max ? (size_t)file->length : max;
}

enum err
tuf_obtain(struct tuf *t, const struct tuf_source *s, enum tuf_type type, const char *role,
    const struct tuf_metafile *file, const struct signers *signers, struct tuf_meta **out)
{
	struct tuf_meta *m = NULL;
	struct buf name, bytes;
	enum err e;

	*out = NULL;
	e = tuf_file_name(role, tuf_consistent(t) ? file->version : 0, &name);
	if (e != OK) {
		buf_free(&name);
		tuf_fail_reset(&t->why, role);
		return tuf_fail(&t->why, e, TUF_RULE_DELEGATION, NULL, NULL,
		    "the role name cannot be a file name");
	}
	e = tuf_fetch(t, s, buf_text(&name), limit_of(type, file), &bytes);
	buf_free(&name);
	if (e != OK)
		return e;
	e = tuf_meta_check_bytes(file, &bytes, &t->why);
	if (e == OK)
		e = tuf_meta_read(&m, type, &bytes, &t->why);
	buf_free(&bytes);
	if (e == OK)
		e = tuf_meta_verify(m, signers, &t->why);
	if (e == OK && m->version != file->version)
		e = tuf_fail_u64(
		    &t->why, ERR_VERIFY, TUF_RULE_VERSION, file->version, m->version, "version");
	if (e == OK)
		e = tuf_meta_fill(m, &t->why);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	m->fresh = true;
	*out = m;
	return OK;
}

enum err
tuf_adopt(struct tuf *t, struct tuf_meta *m)
{
	struct fault f = { OK, "" };
	enum err e;

	e = tuf_store_write(&t->store, tuf_type_names[m->type], m->bytes.data, m->bytes.len, &f);
	if (e != OK) {
		tuf_meta_free(m);
		return tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &f);
	}
	tuf_drop_top(t, m->type);
	t->top[m->type] = m;
	return OK;
}

void
tuf_drop_top(struct tuf *t, enum tuf_type type)
{
	tuf_meta_free(t->top[type]);
	t->top[type] = NULL;
}

const struct tuf_failure *
tuf_failure(const struct tuf *t)
{
	return &t->why;
}

const struct tuf_failure *
tuf_hint_failure(const struct tuf *t)
{
	return &t->hint;
}

static const struct tuf_meta *
meta_of(const struct tuf *t, const char *role)
{
	size_t i;

	for (i = 0; i < TUF_TYPES; i++)
		if (strcmp(role, tuf_type_names[i]) == 0)
			return t->top[i];
	for (i = t->n_loaded; i > 0; i--) /* the newest first */
		if (strcmp(role, t->loaded[i - 1].role) == 0)
			return t->loaded[i - 1].meta;
	return NULL;
}

uint64_t
tuf_version(const struct tuf *t, const char *role)
{
	const struct tuf_meta *m = meta_of(t, role);

	return m != NULL ? m->version : 0;
}

int64_t
tuf_expires_ms(const struct tuf *t, const char *role)
{
	const struct tuf_meta *m = meta_of(t, role);

	return m != NULL ? m->expires_ms : 0;
}

const void *
tuf_bytes(const struct tuf *t, const char *role, size_t *len)
{
	const struct tuf_meta *m = meta_of(t, role);

	*len = m != NULL ? m->bytes.len : 0;
	return m != NULL ? m->bytes.data : NULL;
}

bool
tuf_consistent(const struct tuf *t)
{
	return t->top[TUF_ROOT]->consistent;
}

const struct signers *
tuf_signers(const struct tuf *t, const char *role)
{
	const struct tuf_meta *targets = t->top[TUF_TARGETS];
	size_t i;

	for (i = 0; i < TUF_TYPES; i++)
		if (strcmp(role, tuf_type_names[i]) == 0)
			return &t->top[TUF_ROOT]->roles[i];
	for (i = 0; targets != NULL && i < targets->n_delegations; i++)
		if (strcmp(role, targets->delegations[i].role) == 0)
			return &targets->delegations[i].signers;
	return NULL;
}

int64_t
tuf_verified_ms(const struct tuf *t)
{
	return t->floor_ms;
}

int64_t
tuf_clock_behind_ms(const struct tuf *t)
{
	return t->behind_ms;
}
