/* The client against a repository one document of which is the fuzzer's. The first byte says which;
 * the rest is the text of its "signed" object, properly signed if it is JSON at all, so that
 * mutations get past the signatures. Whatever happens: no crash, and only what passed is in the
 * folder. */
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tuf_fixture x;
	struct buf good;
	struct tuf_source s = fixture_source(&x);
	struct tuf_options o = { .dir = dir };
	enum fixture_role role;
	cJSON *json;

	/* What is no JSON never gets past the reader, which has its own target. */
	if (size < 1 || size > 1u << 20 ||
	    json_parse(&json, (const char *)data + 1, size - 1, JSON_SIGNED, NULL) != OK)
		return 0;
	cJSON_Delete(json);
	make_dir();
	prepare(&x);
	role = (enum fixture_role)(data[0] % FX_ROLES);
	buf_init(&good, 1u << 20);
	if (role != FX_ROOT && buf_append(&good, fixture_file(&x, names[role])->data,
				   fixture_file(&x, names[role])->len) != OK)
		abort();
	o.root = fixture_file(&x, "1.root.json")->data;
	o.root_len = fixture_file(&x, "1.root.json")->len;
	place(&x, role, data + 1, size - 1);
	follow(&o, &s);
	follow(&o, &s); /* from the folder */
	if (role != FX_ROOT)
		fixture_put(&x, names[role], good.data, good.len);
	buf_free(&good);
	remove_dir();
	if (mkdir(dir, 0700) != 0)
		abort();
	return 0;
}
