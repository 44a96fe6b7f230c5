/* verbs_bundle.c - `export --since`: what changed in a feed as one file for a stick
 * (common/update/bundle.h). The feed is verified on the way, so that a bundle is never worse than
 * what is published. Content that the site can rebuild by deltas stays out. */
#include "verbs.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/pack.h"
#include "update/signed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_HERE 4096

struct item {
	char *path, *full; /* target's path; its compressed copy's */
	char sha256[65], from[65], to[65];
	uint64_t length;
	bool helper, there; /* there: the site has it already */
};

struct bundle {
	const char *feed_dir, *feed;
	struct item *items;
	size_t count, cap;
	struct pack_member *members;
	size_t n_members, cap_members;
	uint64_t bytes;
};

/* ---- what is in the feed ---- */

static void *
grown(void *list, size_t count, size_t *cap, size_t size)
{
	void *p;

	if (count < *cap)
		return list;
	p = realloc(list, (*cap == 0 ? 64 : *cap * 2) * size);
	if (p != NULL)
		*cap = *cap == 0 ? 64 : *cap * 2;
	return p;
}

static enum err
on_target(void *arg, const struct repo_target *t)
{
	struct bundle *b = arg;
	struct item *x;
	void *more = grown(b->items, b->count, &b->cap, sizeof *b->items);

	if (more == NULL)
		return ERR_NOMEM;
	b->items = more;
	x = &b->items[b->count++];
	memset(x, 0, sizeof *x);
	x->path = strdup(t->path);
	x->full = t->full != NULL ? strdup(t->full) : NULL;
	x->length = t->length;
	x->helper = t->helper;
	memcpy(x->sha256, t->sha256, sizeof x->sha256);
	memcpy(x->from, t->from, sizeof x->from);
	memcpy(x->to, t->to, sizeof x->to);
	return x->path == NULL || (t->full != NULL && x->full == NULL) ? ERR_NOMEM : OK;
}

/* ---- what goes into the bundle ---- */

static enum err
add_member(struct bundle *b, const char *name, const char *path)
{
	void *more = grown(b->members, b->n_members, &b->cap_members, sizeof *b->members);
	struct pack_member *m;

	if (more == NULL)
		return ERR_NOMEM;
	b->members = more;
	m = &b->members[b->n_members++];
	m->name = strdup(name);
	m->path = strdup(path);
	return m->name == NULL || m->path == NULL ? ERR_NOMEM : OK;
}

static enum err
on_document(void *arg, const char *name)
{
	struct bundle *b = arg;
	char member[PATH_MAX_HERE], path[PATH_MAX_HERE];

	for (size_t i = 0; i < b->n_members; i++) /* asked for twice */
		if (text_ends(b->members[i].path, name) &&
		    b->members[i].path[strlen(b->members[i].path) - strlen(name) - 1] == '/')
			return OK;
	if (snprintf(member, sizeof member, "%s/metadata/%s", b->feed, name) >=
		(int)sizeof member ||
	    snprintf(path, sizeof path, "%s/metadata/%s", b->feed_dir, name) >= (int)sizeof path)
		return ERR_TOOBIG;
	return add_member(b, member, path);
}

/* Content by its hash: two paths with one content are one member. */
static enum err
put(struct bundle *b, const struct item *x)
{
	char member[PATH_MAX_HERE], path[PATH_MAX_HERE];
	const char *slash = strrchr(x->path, '/');
	int folder = slash != NULL ? (int)(slash - x->path) + 1 : 0;

	if (snprintf(member, sizeof member, "%s/targets/%s", b->feed, x->sha256) >=
		(int)sizeof member ||
	    snprintf(path, sizeof path, "%s/targets/%.*s%s.%s", b->feed_dir, folder, x->path,
		x->sha256, x->path + folder) >= (int)sizeof path)
		return ERR_TOOBIG;
	for (size_t i = 0; i < b->n_members; i++)
		if (strcmp(b->members[i].name, member) == 0)
			return OK;
	if (!file_exists(path)) /* a compressed copy that a mirror does not have */
		return ERR_NOTFOUND;
	b->bytes += x->length;
	return add_member(b, member, path);
}

static const struct item *
item_of(const struct bundle *b, const char *path)
{
	for (size_t i = 0; path != NULL && i < b->count; i++)
		if (strcmp(b->items[i].path, path) == 0)
			return &b->items[i];
	return NULL;
}

static bool
site_has(const struct bundle *b, const char *sha256)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->items[i].there && strcmp(b->items[i].sha256, sha256) == 0)
			return true;
	return false;
}

/* Bytes of the deltas that lead from what `old` names to this content; 0: none do. Follows the
 * first delta to each content, as publish makes one. */
static uint64_t
chain_bytes(const struct bundle *b, const struct item *x, const cJSON *old)
{
	const char *want = x->sha256;
	uint64_t sum = 0;

	for (unsigned depth = 0; depth < LIMIT_DELTA_CHAIN; depth++) {
		const struct item *d = NULL;

		for (size_t i = 0; i < b->count && d == NULL; i++)
			if (strcmp(b->items[i].to, want) == 0)
				d = &b->items[i];
		if (d == NULL)
			return 0;
		sum += d->length;
		if (json_get(old, d->from) != NULL)
			return sum;
		want = d->from;
	}
	return 0;
}

/* As agent/fetch/plan.c decides: deltas of more than half of the copy are not taken there. */
static enum err
put_content(struct bundle *b, const struct item *x, const cJSON *old)
{
	const struct item *full = item_of(b, x->full);
	uint64_t whole = full != NULL && full->length < x->length ? full->length : x->length;
	uint64_t chain = chain_bytes(b, x, old);
	enum err e = ERR_NOTFOUND;

	if (chain != 0 && chain <= whole / 2)
		return OK;
	if (full != NULL)
		e = put(b, full);
	return e == ERR_NOTFOUND ? put(b, x) : e;
}

static enum err
choose(struct bundle *b, const cJSON *old)
{
	enum err e = OK;

	for (size_t i = 0; i < b->count; i++)
		b->items[i].there = json_get(old, b->items[i].sha256) != NULL;
	for (size_t i = 0; e == OK && i < b->count; i++) {
		const struct item *x = &b->items[i];

		if (site_has(b, x->sha256))
			continue;
		if (!x->helper)
			e = put_content(b, x, old);
		else if (x->to[0] != '\0')
			e = put(b, x);
	}
	return e;
}

/* ---- what the site has: the targets document of the version it holds ---- */

static enum err
add_hashes(cJSON *old, const cJSON *targets, struct fault *f)
{
	const cJSON *t;
	const char *hex;
	enum err e = OK;

	cJSON_ArrayForEach(t, targets)
	{
		e = json_get_string(json_get(t, "hashes"), "sha256", &hex, f);
		if (e == OK && json_get(old, hex) == NULL)
			e = json_add_bool(old, hex, true);
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err
document_path(char out[PATH_MAX_HERE], const char *dir, const char *sub, uint64_t version)
{
	int n =
	    snprintf(out, PATH_MAX_HERE, "%.4000s/%s/%" PRIu64 ".targets.json", dir, sub, version);

	return n > 0 && n < PATH_MAX_HERE ? OK : ERR_TOOBIG;
}

/* ERR_NOTFOUND: that version is not known here any more. */
static enum err
read_since(const char *repo, const char *feed_dir, uint64_t since, cJSON *old, struct fault *f)
{
	struct signed_doc d = { 0 };
	char path[PATH_MAX_HERE];
	struct buf text;
	enum err e;

	if (since == 0)
		return OK;
	buf_init(&text, LIMIT_TUF_TARGETS);
	e = document_path(path, feed_dir, "metadata", since);
	if (e == OK && !file_exists(path))
		e = document_path(path, repo, "exported", since);
	if (e == OK)
		e = file_read(path, &text, f);
	if (e == OK)
		e = signed_parse(&d, text.data, text.len, f);
	if (e == OK)
		e = add_hashes(old, json_get(d.body, "targets"), f);
	signed_free(&d);
	buf_free(&text);
	return e;
}

/* Versions that went out on a stick stay known after their documents have been swept. */
static enum err
remember(const char *repo, const char *feed_dir, uint64_t version, struct fault *f)
{
	char from[PATH_MAX_HERE], to[PATH_MAX_HERE];
	struct buf text;
	enum err e;

	(void)snprintf(from, sizeof from, "%s/repo.json", repo);
	if (!file_exists(from))
		return OK; /* a published folder is not ours to write into */
	buf_init(&text, LIMIT_TUF_TARGETS);
	e = file_join(to, sizeof to, repo, "exported");
	if (e == OK)
		e = file_make_dirs(to, 0755, f);
	if (e == OK)
		e = document_path(from, feed_dir, "metadata", version);
	if (e == OK)
		e = document_path(to, repo, "exported", version);
	if (e == OK)
		e = file_read(from, &text, f);
	if (e == OK)
		e = file_replace(to, text.data, text.len, 0644, f);
	buf_free(&text);
	return e;
}

static void
bundle_free(struct bundle *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->items[i].path);
		free(b->items[i].full);
	}
	for (size_t i = 0; i < b->n_members; i++) {
		free((void *)b->members[i].name);
		free((void *)b->members[i].path);
	}
	free(b->items);
	free(b->members);
}

static void
tell(const struct args *a, const struct bundle *b, uint64_t since, uint64_t version, bool known)
{
	uint64_t size = 0;

	(void)!file_size(a->words[1], &size);
	if (args_has(a, "json"))
		printf("{\"feed\":\"%s\",\"since\":%" PRIu64 ",\"version\":%" PRIu64
		       ",\"files\":%zu,\"bytes\":%" PRIu64 "}\n",
		    b->feed, known ? since : 0, version, b->n_members, size);
	else if (!known)
		printf("%s: %s version %" PRIu64 ", %" PRIu64 " bytes, complete: version %" PRIu64
		       " is not known here any more\n",
		    a->words[1], b->feed, version, size, since);
	else
		printf("%s: %s version %" PRIu64 " since %" PRIu64 ", %" PRIu64 " bytes\n",
		    a->words[1], b->feed, version, since, size);
}

enum err
verb_bundle(const struct args *a, const char *passphrase, struct fault *f)
{
	struct bundle b = { 0 };
	const struct repo_visitor visitor = { on_target, on_document, &b };
	struct repo_report report;
	char feed[PATH_MAX_HERE];
	cJSON *old = cJSON_CreateObject();
	uint64_t since = 0;
	const char *v = args_get(a, "since");
	enum err e = old == NULL ? ERR_NOMEM : feed_folder(a->words[0], passphrase, feed, f), known;

	if (e == OK && text_u64(v, strlen(v), JSON_MAX_INT, &since) != OK)
		e = fault_set(f, ERR_INVAL, "--since needs the version that the site has, or 0");
	b.feed_dir = feed;
	b.feed = e == OK && strrchr(feed, '/') != NULL ? strrchr(feed, '/') + 1 : feed;
	if (e == OK)
		e = repo_verify(feed, args_get(a, "root"), &visitor, &report, f);
	if (e == OK && args_get(a, "root") == NULL)
		e = on_document(&b, "1.root.json");
	known = e == OK ? read_since(a->words[0], feed, since, old, f) : OK;
	if (known != OK && known != ERR_NOTFOUND)
		e = known;
	else if (e == OK)
		fault_reset(f);
	if (e == OK)
		e = choose(&b, old);
	if (e == OK)
		e = pack_write(a->words[1], b.members, b.n_members, f);
	if (e == OK)
		e = remember(a->words[0], feed, report.version, f);
	if (e == OK)
		tell(a, &b, since, report.version, known == OK);
	cJSON_Delete(old);
	bundle_free(&b);
	return e;
}
