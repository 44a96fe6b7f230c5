/* repo_verify.c - looks at a published feed with the eyes of a client: the same TUF code, a store
 * of its own, and every target read. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/tuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (256u << 10)

struct verifying {
	const char *feed_dir;
	const struct tuf *tuf;
	struct repo_report *report;
	uint8_t *buf;
	struct repo_visitor visitor;
};

static enum err
fetch(void *ctx, const char *name, size_t max, struct buf *out, struct fault *f)
{
	const struct verifying *v = ctx;
	char path[REPO_PATH];
	int n = snprintf(path, sizeof path, "%s/metadata/%s", v->feed_dir, name);
	enum err e;

	(void)max; /* out is bounded by it */
	if (n < 0 || (size_t)n >= sizeof path)
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", v->feed_dir);
	e = file_read(path, out, f);
	if (e == OK && v->visitor.document != NULL)
		e = v->visitor.document(v->visitor.arg, name);
	return e;
}

static enum err
read_target(struct verifying *v, const struct tuf_target *t, const char *path, struct fault *f)
{
	struct tuf_check check;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	enum err e = OK;

	/* A mirror need not have compressed copies (agent/fetch/DESIGN.md); clients take the
	 * target. */
	if (fd < 0 && errno == ENOENT && text_starts(t->path, "full/"))
		return OK;
	if (fd < 0)
		return fault_sys(f, errno, "target %s: cannot open %s", t->path, path);
	tuf_check_init(&check, t);
	while (e == OK && (n = read(fd, v->buf, CHUNK)) != 0) {
		if (n > 0)
			e = tuf_check_update(&check, v->buf, (size_t)n);
		else if (errno != EINTR)
			e = fault_sys(f, errno, "cannot read %s", path);
	}
	if (e == OK)
		e = tuf_check_final(&check, NULL, f);
	(void)close(fd);
	return e == OK ? OK
		       : fault_set(f, e, "target %s: %s is not what was signed", t->path, path);
}

static void
copy_hash(char to[65], const cJSON *custom, const char *name)
{
	const char *s;

	to[0] = '\0';
	if (json_get_string(custom, name, &s, NULL) == OK && text_copy(to, 65, s, strlen(s)) != OK)
		to[0] = '\0';
}

static enum err
tell_target(const struct verifying *v, const struct tuf_target *t)
{
	struct repo_target x = { .path = t->path, .length = t->length };
	const cJSON *custom = json_get(t->custom, "atalaia");

	if (v->visitor.target == NULL || !t->has_sha256)
		return OK;
	text_hex(x.sha256, t->sha256, sizeof t->sha256);
	x.helper = repo_is_helper(t->path);
	x.pack = cJSON_IsTrue(json_get(custom, "pack"));
	if (json_opt_string(custom, "full", NULL, &x.full, NULL) != OK)
		x.full = NULL;
	copy_hash(x.from, custom, "from");
	copy_hash(x.to, custom, "to");
	return v->visitor.target(v->visitor.arg, &x);
}

static enum err
each_target(void *ctx, const struct tuf_target *t, struct fault *f)
{
	struct verifying *v = ctx;
	char path[REPO_PATH];
	struct buf name;
	int n;
	enum err e;

	buf_init(&name, REPO_PATH);
	e = tuf_target_file(v->tuf, t, &name);
	n = snprintf(path, sizeof path, "%s/targets/%s", v->feed_dir, buf_text(&name));
	if (e == OK && (n < 0 || (size_t)n >= sizeof path))
		e = ERR_TOOBIG;
	if (e == OK)
		e = read_target(v, t, path, f);
	buf_free(&name);
	if (e != OK)
		return e;
	if (repo_is_helper(t->path)) {
		v->report->deltas++;
		v->report->delta_bytes += t->length;
	} else {
		v->report->targets++;
		v->report->bytes += t->length;
	}
	return tell_target(v, t);
}

static enum err
verify_in(const char *store, const struct buf *root, struct verifying *v, struct fault *f)
{
	struct tuf_options o = { .dir = store, .root = root->data, .root_len = root->len };
	struct tuf_source s = { fetch, v };
	struct tuf *t = NULL;
	enum err e = tuf_open(&t, &o, f);

	v->tuf = t;
	if (e == OK)
		e = tuf_refresh(t, &s, NULL, 0, f);
	if (e == OK)
		e = tuf_each(t, &s, each_target, v, f);
	if (e == OK) {
		size_t a = 0, b = 0, c = 0;

		v->report->version = tuf_version(t, "targets");
		(void)tuf_bytes(t, "timestamp", &a);
		(void)tuf_bytes(t, "snapshot", &b);
		(void)tuf_bytes(t, "targets", &c);
		v->report->metadata_bytes = a + b + c;
	}
	tuf_close(t);
	return e;
}

enum err
repo_verify(const char *feed_dir, const char *root_path, const struct repo_visitor *visitor,
    struct repo_report *report, struct fault *f)
{
	struct verifying v = { .feed_dir = feed_dir, .report = report };
	char store[] = "/tmp/atalaia-verify-XXXXXX", path[REPO_PATH];
	struct buf root;
	enum err e = OK, gone;

	memset(report, 0, sizeof *report);
	if (visitor != NULL)
		v.visitor = *visitor;
	buf_init(&root, LIMIT_TUF_ROOT);
	if (root_path == NULL) {
		e = repo_join(path, feed_dir, "metadata/1.root.json", f);
		root_path = path;
	}
	if (e == OK)
		e = file_read(root_path, &root, f);
	if (e == OK && mkdtemp(store) == NULL)
		e = fault_sys(f, errno, "cannot make a folder in /tmp");
	if (e == OK) {
		v.buf = malloc(CHUNK);
		e = v.buf != NULL ? verify_in(store, &root, &v, f) : ERR_NOMEM;
		gone = file_remove_tree(AT_FDCWD, store, NULL);
		e = e == OK ? gone : e;
	}
	free(v.buf);
	buf_free(&root);
	return e;
}
