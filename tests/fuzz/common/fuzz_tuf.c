/* The client against a repository documents of which are the fuzzer's, properly signed, so that
 * mutations get past the signatures. First byte below 128: it says which document, the rest is the
 * text of its "signed" object. From 128 on: groups of edits to good documents: role, how many, and
 * for each what, at which node, with which value; so that every mutation is well formed metadata.
 * Whatever happens: no crash, and only what passed is in the folder. */
#include "base/json.h"
#include "os/file.h"
#include "tuf_fixture.h"
#include "update/tuf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void
remove_dir(void)
{
	if (file_remove_tree(AT_FDCWD, dir, NULL) != OK)
		perror(dir);
}

/* In memory when there is such a place: every run syncs a dozen files. */
static void
make_dir(void)
{
	if (dir[0] != '\0')
		return;
	(void)snprintf(dir, sizeof dir, "/dev/shm/fuzz_tuf.XXXXXX");
	if (mkdtemp(dir) == NULL)
		(void)snprintf(dir, sizeof dir, "/tmp/fuzz_tuf.XXXXXX");
	if (strncmp(dir, "/tmp", 4) == 0 && mkdtemp(dir) == NULL)
		abort();
	(void)atexit(remove_dir);
}

static enum err
each(void *ctx, const struct tuf_target *target, struct fault *f)
{
	struct tuf *t = ctx;
	struct tuf_target again;
	struct buf name;

	/* What is listed must be found, in the same role. */
	if (tuf_find(t, NULL, target->path, &again, f) != OK ||
	    strcmp(again.role, target->role) != 0 || again.length != target->length)
		abort();
	buf_init(&name, 1u << 20);
	if (tuf_target_file(t, target, &name) != OK)
		abort();
	buf_free(&name);
	return OK;
}

static const char *const names[FX_ROLES] = { "2.root.json", "timestamp.json", "1.snapshot.json",
	"1.targets.json", "1.a.json", "1.b.json" };

static void
place(struct tuf_fixture *x, enum fixture_role role, const uint8_t *p, size_t n)
{
	struct buf doc;

	buf_init(&doc, 8u << 20);
	fixture_sign_text(x, role, p, n, &doc);
	fixture_put(x, names[role], doc.data, doc.len);
	buf_free(&doc);
}

static void
follow(const struct tuf_options *o, const struct tuf_source *s)
{
	struct fault f = { OK, "" };
	struct tuf_target target;
	struct tuf *t;
	enum err e;

	if (tuf_open(&t, o, &f) != OK)
		abort();
	e = tuf_refresh(t, s, NULL, 0, &f);
	if (e != OK && tuf_failure(t)->rule == TUF_RULE_NONE)
		abort();
	if (e == OK)
		e = tuf_each(t, s, each, t, &f);
	if (e == OK)
		e = tuf_find(t, s, "nowhere/x", &target, &f);
	tuf_close(t);
}

/* The repository of every run, and the file of the one document that changes in each. */
static void
prepare(struct tuf_fixture *x)
{
	if (x->n_files == 0)
		fixture_init(x);
	x->asked[0] = '\0';
	while (x->n_files > 6) /* without 2.root.json */
		buf_free(&x->files[--x->n_files].bytes);
}

static void
run(struct tuf_fixture *x)
{
	struct tuf_source s = fixture_source(x);
	struct tuf_options o = { .dir = dir };

	o.root = fixture_file(x, "1.root.json")->data;
	o.root_len = fixture_file(x, "1.root.json")->len;
	follow(&o, &s);
	follow(&o, &s); /* from the folder */
	remove_dir();
	if (mkdir(dir, 0700) != 0)
		abort();
}

/* --- edits --- */

static cJSON *
nth_node(cJSON *at, unsigned *n)
{
	cJSON *child, *found;

	if ((*n)-- == 0)
		return at;
	for (child = at->child; child != NULL; child = child->next)
		if ((found = nth_node(child, n)) != NULL)
			return found;
	return NULL;
}

static unsigned
count_nodes(const cJSON *at)
{
	unsigned n = 1;

	for (const cJSON *c = at->child; c != NULL; c = c->next)
		n += count_nodes(c);
	return n;
}

static cJSON *
any_node(cJSON *body, uint8_t which)
{
	unsigned n = which % count_nodes(body);

	return nth_node(body, &n);
}

static cJSON *
new_value(cJSON *body, uint8_t v)
{
	static const char *const texts[] = { "", "root", "targets", "snapshot.json", "targets.json",
		"a.json", "b.json", "a/1", "a/*", "../x", "2026-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z", "1.0.0", "2.0.0", "sha256", "ecdsa",
		"0000000000000000000000000000000000000000000000000000000000000000" };
	static const double numbers[] = { 0, 1, 2, 3, 1000, 4294967296.0, 9007199254740991.0 };

	switch (v & 7) {
	case 0:
	case 1:
	case 2:
		return cJSON_CreateString(texts[(v >> 3) % (sizeof texts / sizeof texts[0])]);
	case 3:
	case 4:
		return cJSON_CreateNumber(numbers[(v >> 3) % (sizeof numbers / sizeof numbers[0])]);
	case 5:
		return (v & 8) != 0    ? cJSON_CreateBool((v & 16) != 0)
		       : (v & 16) != 0 ? cJSON_CreateArray()
				       : cJSON_CreateObject();
	default:
		return cJSON_Duplicate(any_node(body, (uint8_t)(v >> 3)), 1);
	}
}

static void
put(cJSON *parent, const char *name, cJSON *value)
{
	if (value != NULL && cJSON_IsArray(parent))
		(void)cJSON_AddItemToArray(parent, value);
	else if (value != NULL && cJSON_IsObject(parent))
		(void)cJSON_AddItemToObject(parent, name, value);
	else
		cJSON_Delete(value);
}

static void
edit(cJSON *body, uint8_t what, uint8_t where, uint8_t v)
{
	cJSON *parent = any_node(body, where), *child, *other;
	unsigned n = 0;

	for (child = parent->child; child != NULL; child = child->next)
		n++;
	if (n == 0) {
		put(parent, "extra", new_value(body, v));
		return;
	}
	child = cJSON_GetArrayItem(parent, (int)((what >> 2) % n));
	switch (what & 3) {
	case 0: /* away */
		cJSON_Delete(cJSON_DetachItemViaPointer(parent, child));
		break;
	case 1: /* another value under the same name */
		other = new_value(body, v);
		if (other != NULL && child->string != NULL) {
			cJSON_free(other->string);
			other->string = strdup(child->string);
		}
		if (other != NULL && !cJSON_ReplaceItemViaPointer(parent, child, other))
			cJSON_Delete(other);
		break;
	case 2: /* one more under another's name */
		other = any_node(body, (uint8_t)(v >> 1));
		put(parent, other->string != NULL ? other->string : "a", new_value(body, v));
		break;
	default: /* its twin, when the list is one */
		put(parent, (v & 1) != 0 ? "b/1" : "a/2", cJSON_Duplicate(child, 1));
		break;
	}
}

static const uint8_t *
edit_role(struct tuf_fixture *x, const uint8_t *p, const uint8_t *end)
{
	enum fixture_role role = (enum fixture_role)(p[0] % FX_ROLES);
	unsigned n = p[1] % 8;
	cJSON *body = cJSON_Duplicate(x->body[role], 1);
	char *text;

	if (body == NULL)
		abort();
	if (role == FX_ROOT)
		(void)cJSON_ReplaceItemInObjectCaseSensitive(
		    body, "version", cJSON_CreateNumber(2));
	for (p += 2; n > 0 && end - p >= 3; n--, p += 3)
		edit(body, p[0], p[1], p[2]);
	text = cJSON_PrintUnformatted(body);
	if (text == NULL)
		abort();
	place(x, role, (const uint8_t *)text, strlen(text));
	cJSON_free(text);
	cJSON_Delete(body);
	return p;
}

static void
run_edits(struct tuf_fixture *x, const uint8_t *p, const uint8_t *end)
{
	struct buf good[FX_ROLES];

	for (unsigned i = 1; i < FX_ROLES; i++) {
		buf_init(&good[i], 1u << 20);
		if (buf_append(&good[i], fixture_file(x, names[i])->data,
			fixture_file(x, names[i])->len) != OK)
			abort();
	}
	for (unsigned groups = 0; groups < 3 && end - p >= 5; groups++)
		p = edit_role(x, p, end);
	run(x);
	for (unsigned i = 1; i < FX_ROLES; i++) {
		fixture_put(x, names[i], good[i].data, good[i].len);
		buf_free(&good[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tuf_fixture x;
	struct buf good;
	enum fixture_role role;
	cJSON *json;

	if (size < 1 || size > 1u << 20)
		return 0;
	make_dir();
	prepare(&x);
	if (data[0] >= 128) {
		run_edits(&x, data + 1, data + size);
		return 0;
	}
	/* What is no JSON never gets past the reader, which has its own target. */
	if (json_parse(&json, (const char *)data + 1, size - 1, JSON_SIGNED, NULL) != OK)
		return 0;
	cJSON_Delete(json);
	role = (enum fixture_role)(data[0] % FX_ROLES);
	buf_init(&good, 1u << 20);
	if (role != FX_ROOT && buf_append(&good, fixture_file(&x, names[role])->data,
				   fixture_file(&x, names[role])->len) != OK)
		abort();
	place(&x, role, data + 1, size - 1);
	run(&x);
	if (role != FX_ROOT)
		fixture_put(&x, names[role], good.data, good.len);
	buf_free(&good);
	return 0;
}
