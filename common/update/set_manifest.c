/* set_manifest.c - the list of what a set holds, and what all kept sets hold together. */
#include "update/set_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = { "target", "pack", "file" };

enum err
set_path(char *out, size_t size, const char *feed_dir, uint64_t version, const char *tail)
{
	int n = snprintf(out, size, "%s/sets/%" PRIu64 "%s", feed_dir, version, tail);

	return n >= 0 && (size_t)n < size ? OK : ERR_TOOBIG;
}

enum err
set_manifest_add(struct set_manifest *m, enum set_kind kind, const char *path, uint64_t size,
    const uint8_t sha256[SET_SHA])
{
	struct set_entry *x;

	if (m->count >= 2 * LIMIT_SET_FILES)
		return ERR_TOOBIG;
	if (m->count == m->cap) {
		size_t cap = m->cap == 0 ? 64 : m->cap * 2;
		void *p = realloc(m->list, cap * sizeof *m->list);

		if (p == NULL)
			return ERR_NOMEM;
		m->list = p;
		m->cap = cap;
	}
	x = &m->list[m->count];
	x->kind = kind;
	x->size = size;
	memcpy(x->sha256, sha256, SET_SHA);
	x->path = strdup(path);
	if (x->path == NULL)
		return ERR_NOMEM;
	m->count++;
	return OK;
}

void
set_manifest_free(struct set_manifest *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		free(m->list[i].path);
	free(m->list);
	memset(m, 0, sizeof *m);
}

/* By kind, then by path with '/' before every other byte, so that a folder follows its own name. */
static int
compare_entries(const void *pa, const void *pb)
{
	const struct set_entry *a = pa, *b = pb;
	const char *x = a->path, *y = b->path;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	while (*x != '\0' && *x == *y)
		x++, y++;
	if (*x == *y)
		return 0;
	if (*x == '\0' || *y == '\0')
		return *x == '\0' ? -1 : 1;
	if (*x == '/' || *y == '/')
		return *x == '/' ? -1 : 1;
	return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
}

bool
set_manifest_has(const struct set_manifest *m, enum set_kind kind, const char *path)
{
	struct set_entry key = { .kind = kind, .path = (char *)(uintptr_t)path };

	return m->count > 0 &&
	       bsearch(&key, m->list, m->count, sizeof *m->list, compare_entries) != NULL;
}

/* a before b in order: may both exist? */
static enum err
check_pair(const struct set_entry *a, const struct set_entry *b, struct fault *f)
{
	size_t n = strlen(a->path);

	if (a->kind != b->kind)
		return OK;
	if (compare_entries(a, b) >= 0)
		return fault_set(f, ERR_INVAL, "the name %s comes twice in the set", b->path);
	if (a->kind == SET_FILE && strncmp(a->path, b->path, n) == 0 && b->path[n] == '/')
		return fault_set(f, ERR_INVAL, "the name %s is a file and a folder", a->path);
	return OK;
}

enum err
set_manifest_text(struct set_manifest *m, struct buf *out, struct fault *f)
{
	char hex[2 * SET_SHA + 1];
	size_t i;
	enum err e = OK;

	if (m->count > 0)
		qsort(m->list, m->count, sizeof *m->list, compare_entries);
	for (i = 0; e == OK && i < m->count; i++) {
		const struct set_entry *x = &m->list[i];

		if (i > 0)
			e = check_pair(x - 1, x, f);
		text_hex(hex, x->sha256, SET_SHA);
		if (e == OK)
			e = buf_printf(
			    out, "%s %s %" PRIu64 " %s\n", words[x->kind], hex, x->size, x->path);
	}
	return e;
}

/* One field up to `end`; moves *p behind it. */
static bool
field(const char **p, const char *limit, char end, const char **start, size_t *n)
{
	const char *q = memchr(*p, end, (size_t)(limit - *p));

	if (q == NULL)
		return false;
	*start = *p;
	*n = (size_t)(q - *p);
	*p = q + 1;
	return true;
}

static enum err
parse_line(struct set_manifest *m, const char **p, const char *limit)
{
	const char *word, *hex, *size, *path;
	size_t word_n, hex_n, size_n, path_n, got;
	uint8_t sha256[SET_SHA];
	char name[SET_PATH];
	uint64_t bytes;
	int kind;

	if (!field(p, limit, ' ', &word, &word_n) || !field(p, limit, ' ', &hex, &hex_n) ||
	    !field(p, limit, ' ', &size, &size_n) || !field(p, limit, '\n', &path, &path_n))
		return ERR_PARSE;
	for (kind = SET_TARGET; kind <= SET_FILE; kind++)
		if (text_eq(word, word_n, words[kind]))
			break;
	if (kind > SET_FILE || hex_n != 2 * SET_SHA || strspn(hex, "0123456789abcdef") < hex_n ||
	    text_unhex(sha256, sizeof sha256, hex, hex_n, &got) != OK ||
	    text_u64(size, size_n, LIMIT_TARGET_BYTES, &bytes) != OK ||
	    !text_is_target_path(path, path_n) || text_copy(name, sizeof name, path, path_n) != OK)
		return ERR_PARSE;
	return set_manifest_add(m, (enum set_kind)kind, name, bytes, sha256);
}

enum err
set_manifest_parse(struct set_manifest *m, const char *p, size_t n, struct fault *f)
{
	const char *limit = p + n;
	enum err e = OK;

	while (e == OK && p < limit) {
		e = parse_line(m, &p, limit);
		if (e == OK && m->count > 1)
			e = check_pair(&m->list[m->count - 2], &m->list[m->count - 1], f);
		if (e == OK && m->count > 1 &&
		    m->list[m->count - 2].kind > m->list[m->count - 1].kind)
			e = ERR_PARSE;
	}
	return e == OK ? OK
		       : fault_set(
			     f, e == ERR_INVAL ? ERR_PARSE : e, "the manifest of a set is damaged");
}

enum err
set_manifest_load(const char *feed_dir, uint64_t version, struct set_manifest *m,
    uint8_t identity[SET_SHA], struct fault *f)
{
	char path[SET_PATH];
	struct buf text;
	enum err e = set_path(path, sizeof path, feed_dir, version, ".meta/manifest");

	buf_init(&text, LIMIT_MANIFEST);
	if (e == OK)
		e = file_read(path, &text, f);
	if (e == OK && m != NULL)
		e = set_manifest_parse(m, buf_text(&text), text.len, f);
	if (e == OK && identity != NULL)
		hash_once(HASH_SHA256, text.data, text.len, identity);
	if (e != OK && m != NULL)
		set_manifest_free(m);
	buf_free(&text);
	return e;
}

/* ---- what all kept sets hold ---- */

static int
compare_known(const void *pa, const void *pb)
{
	const struct known_file *a = pa, *b = pb;
	int c = memcmp(a->sha256, b->sha256, SET_SHA);

	if (c != 0)
		return c;
	return a->version != b->version ? (a->version > b->version ? -1 : 1) : 0;
}

static enum err
known_add(struct set_known *k, uint64_t version, struct set_entry *x)
{
	if (k->count == k->cap) {
		size_t cap = k->cap == 0 ? 256 : k->cap * 2;
		void *p = realloc(k->list, cap * sizeof *k->list);

		if (p == NULL)
			return ERR_NOMEM;
		k->list = p;
		k->cap = cap;
	}
	memcpy(k->list[k->count].sha256, x->sha256, SET_SHA);
	k->list[k->count].size = x->size;
	k->list[k->count].version = version;
	k->list[k->count].pack = x->kind == SET_PACK;
	k->list[k->count].path = x->path;
	x->path = NULL; /* moved */
	k->count++;
	return OK;
}

enum err
set_known_load(const char *feed_dir, struct set_known *k, struct fault *f)
{
	uint64_t versions[LIMIT_SETS_KEPT];
	size_t n, i, j;
	enum err e = set_list(feed_dir, versions, LIMIT_SETS_KEPT, &n, f);

	memset(k, 0, sizeof *k);
	if (n > LIMIT_SETS_KEPT)
		n = LIMIT_SETS_KEPT;
	for (i = 0; e == OK && i < n; i++) {
		struct set_manifest m = { 0 };

		/* a damaged manifest only means fewer sources */
		if (set_manifest_load(feed_dir, versions[i], &m, NULL, NULL) != OK)
			continue;
		for (j = 0; e == OK && j < m.count; j++)
			if (m.list[j].kind != SET_TARGET)
				e = known_add(k, versions[i], &m.list[j]);
		set_manifest_free(&m);
	}
	if (e == OK && k->count > 0)
		qsort(k->list, k->count, sizeof *k->list, compare_known);
	if (e != OK)
		set_known_free(k);
	return e;
}

void
set_known_free(struct set_known *k)
{
	size_t i;

	for (i = 0; i < k->count; i++)
		free(k->list[i].path);
	free(k->list);
	memset(k, 0, sizeof *k);
}

const struct known_file *
set_known_find(const struct set_known *k, const uint8_t sha256[SET_SHA], uint64_t size)
{
	size_t lo = 0, hi = k->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(k->list[mid].sha256, sha256, SET_SHA) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == k->count || memcmp(k->list[lo].sha256, sha256, SET_SHA) != 0 ||
	    (size != SET_ANY_SIZE && k->list[lo].size != size))
		return NULL;
	return &k->list[lo];
}

enum err
set_known_path(const char *feed_dir, const struct known_file *x, char *out, size_t size)
{
	char hex[2 * SET_SHA + 1];
	int n;

	text_hex(hex, x->sha256, SET_SHA);
	if (x->pack)
		n = snprintf(out, size, "%s/sets/%" PRIu64 ".meta/%s", feed_dir, x->version, hex);
	else
		n = snprintf(out, size, "%s/sets/%" PRIu64 "/%s", feed_dir, x->version, x->path);
	return n >= 0 && (size_t)n < size ? OK : ERR_TOOBIG;
}

enum err
set_find(const char *feed_dir, const uint8_t sha256[SET_SHA], uint64_t size, char *path,
    size_t path_size, struct fault *f)
{
	struct set_known k;
	const struct known_file *x;
	enum err e = set_known_load(feed_dir, &k, f);

	if (e != OK)
		return e;
	x = set_known_find(&k, sha256, size);
	e = x == NULL ? ERR_NOTFOUND : set_known_path(feed_dir, x, path, path_size);
	set_known_free(&k);
	return e;
}
