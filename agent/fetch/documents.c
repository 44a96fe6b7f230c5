/* documents.c - the metadata that a mirror hands on: collected as the TUF client accepts it,
 * completed with older roots, published in the order of DESIGN section 5. */
#include "documents.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "update/signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
documents_free(struct documents *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->list[i].file);
		free(d->list[i].role);
		buf_free(&d->list[i].bytes);
	}
	free(d->list);
	d->list = NULL;
	d->count = 0;
}

/* A newer document of the same role takes the old one's place; roots are all kept. */
static struct document *
slot_for(struct documents *d, const struct tuf_document *doc)
{
	bool root = strcmp(doc->role, "root") == 0;
	struct document *more;

	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->list[i].role, doc->role) == 0 &&
		    (!root || d->list[i].version == doc->version))
			return &d->list[i];
	more = realloc(d->list, (d->count + 1) * sizeof *more);
	if (more == NULL)
		return NULL;
	d->list = more;
	memset(&more[d->count], 0, sizeof *more);
	buf_init(&more[d->count].bytes, LIMIT_TUF_TARGETS);
	return &more[d->count++];
}

enum err
documents_add(struct documents *d, const struct tuf_document *doc)
{
	struct document *s = slot_for(d, doc);

	if (s == NULL)
		return ERR_NOMEM;
	free(s->file);
	free(s->role);
	s->file = strdup(doc->file);
	s->role = strdup(doc->role);
	s->version = doc->version;
	buf_reset(&s->bytes);
	if (s->file == NULL || s->role == NULL)
		return ERR_NOMEM;
	return buf_append(&s->bytes, doc->bytes, doc->len);
}

/* The place in the order: delegated roles, targets, snapshot, roots, timestamp. */
static unsigned
rank(const char *role)
{
	static const char *const order[] = { "targets", "snapshot", "root", "timestamp" };

	for (unsigned i = 0; i < 4; i++)
		if (strcmp(role, order[i]) == 0)
			return i + 1;
	return 0;
}

static enum err
publish_rank(struct job *j, const struct served *s, unsigned k, bool *changed, struct fault *f)
{
	bool here = false;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < j->documents.count; i++) {
		const struct document *d = &j->documents.list[i];
		char name[300];

		if (rank(d->role) != k)
			continue;
		/* The store keeps root.json without its number; the repository does not. */
		if (k == 3)
			(void)snprintf(
			    name, sizeof name, "%llu.root.json", (unsigned long long)d->version);
		else
			(void)snprintf(name, sizeof name, "%s", d->file);
		e = served_put_document(
		    s, &j->objects, name, d->bytes.data, d->bytes.len, &here, f);
	}
	*changed = *changed || here;
	return e == OK && here ? file_sync_dir(s->metadata, f) : e;
}

enum err
documents_publish(struct job *j, const struct served *s, bool *changed, struct fault *f)
{
	enum err e = OK;

	for (unsigned k = 0; e == OK && k <= 4; k++)
		e = publish_rank(j, s, k, changed, f);
	return e;
}

/* ---- older roots, for clients whose first root is older than ours ---- */

/* Is `older` a root of version v, signed by itself, whose keys signed `newer`? Then it is the root
 * before it: nobody else can make one that is. */
static enum err
check_older(const struct buf *older, const struct buf *newer, uint64_t v, struct fault *f)
{
	struct signed_doc a = { 0 }, b = { 0 };
	struct keyring ring = { 0 };
	struct signers who = { 0 };
	cJSON *keys, *roles, *root;
	const char *type = "";
	uint64_t version = 0;
	enum err e = signed_parse(&a, older->data, older->len, f);

	if (e == OK)
		e = signed_parse(&b, newer->data, newer->len, f);
	if (e == OK)
		e = json_get_string(a.body, "_type", &type, f);
	if (e == OK)
		e = json_get_u64(a.body, "version", JSON_MAX_INT, &version, f);
	if (e == OK && (strcmp(type, "root") != 0 || version != v))
		e = fault_set(f, ERR_VERIFY, "not the root that was asked for");
	if (e == OK)
		e = json_get_object(a.body, "keys", &keys, f);
	if (e == OK)
		e = json_get_object(a.body, "roles", &roles, f);
	if (e == OK)
		e = json_get_object(roles, "root", &root, f);
	if (e == OK)
		e = keyring_parse(&ring, keys, f);
	if (e == OK)
		e = signers_parse(&who, root, &ring, f);
	if (e == OK)
		e = signed_verify(&a, &who, NULL, f);
	if (e == OK)
		e = signed_verify(&b, &who, NULL, f);
	signers_free(&who);
	keyring_free(&ring);
	signed_free(&a);
	signed_free(&b);
	return e;
}

static enum err
read_root(struct job *j, const struct served *s, uint64_t v, struct buf *out)
{
	char path[OBJECT_PATH], name[64];

	for (size_t i = 0; i < j->documents.count; i++)
		if (strcmp(j->documents.list[i].role, "root") == 0 &&
		    j->documents.list[i].version == v)
			return buf_append(out, j->documents.list[i].bytes.data,
			    j->documents.list[i].bytes.len);
	(void)snprintf(name, sizeof name, "%llu.root.json", (unsigned long long)v);
	if (file_join(path, sizeof path, s->metadata, name) != OK)
		return ERR_TOOBIG;
	return file_read(path, out, NULL);
}

static enum err
fetch_older(struct job *j, uint64_t v, const struct buf *newer, struct buf *out)
{
	struct tuf_document d = { .role = "root", .version = v };
	struct fault f = { 0 };
	char name[64];
	enum err e;

	(void)snprintf(name, sizeof name, "%llu.root.json", (unsigned long long)v);
	d.file = name;
	e = job_fetch_document(j, j->source, name, LIMIT_TUF_ROOT, out, &f);
	if (e == OK) {
		e = check_older(out, newer, v, &f);
		if (e != OK)
			job_refuse(j, j->source, name, "signatures", e, fault_text(&f));
	}
	d.bytes = out->data;
	d.len = out->len;
	return e == OK ? documents_add(&j->documents, &d) : e;
}

enum err
documents_older_roots(struct job *j, const struct served *s)
{
	struct buf newer, older;
	uint64_t v = tuf_version(j->tuf, "root");
	enum err e;

	buf_init(&newer, LIMIT_TUF_ROOT);
	buf_init(&older, LIMIT_TUF_ROOT);
	e = read_root(j, s, v, &newer);
	for (unsigned n = 0; e == OK && v > 1 && n < LIMIT_TUF_ROOT_ROTATIONS; n++) {
		struct buf swap;

		v--;
		buf_reset(&older);
		e = read_root(j, s, v, &older);
		if (e != OK && e != ERR_NOMEM) {
			buf_reset(&older);
			e = fetch_older(j, v, &newer, &older);
		}
		swap = newer;
		newer = older;
		older = swap;
	}
	buf_free(&newer);
	buf_free(&older);
	if (e != OK && e != ERR_CANCELED && e != ERR_NOMEM)
		log_info("fetch.roots", "feed=%s oldest=%llu why=\"%s\"", j->config->feed,
		    (unsigned long long)v + 1, err_text(e));
	return e == ERR_CANCELED || e == ERR_NOMEM ? e : OK;
}
