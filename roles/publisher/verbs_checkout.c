/* verbs_checkout.c - what a workstation will hold: a feed verified, its set built and made current,
 * with the same code. */
#include "verbs.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	const char *feed;
	struct set_file *list;
	size_t count, cap;
};

static enum err
add_file(struct listing *l, const struct repo_target *t)
{
	char path[4096];
	struct set_file *x;
	const char *slash = strrchr(t->path, '/');
	int folder = slash != NULL ? (int)(slash - t->path) + 1 : 0;
	size_t n;
	enum err e;

	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 32 : l->cap * 2;
		void *p = realloc(l->list, cap * sizeof *l->list);

		if (p == NULL)
			return ERR_NOMEM;
		l->list = p;
		l->cap = cap;
	}
	(void)snprintf(path, sizeof path, "%s/targets/%.*s%s.%s", l->feed, folder, t->path,
	    t->sha256, t->path + folder);
	x = &l->list[l->count];
	memset(x, 0, sizeof *x);
	x->size = t->length;
	x->pack = t->pack;
	e = text_unhex(x->sha256, sizeof x->sha256, t->sha256, strlen(t->sha256), &n);
	x->path = strdup(t->path);
	x->source = strdup(path);
	l->count++;
	return e == OK && (x->path == NULL || x->source == NULL) ? ERR_NOMEM : e;
}

static enum err
on_target(void *arg, const struct repo_target *t)
{
	return t->helper ? OK : add_file(arg, t);
}

enum err
verb_checkout(const struct args *a, const char *passphrase, struct fault *f)
{
	struct set_build b = { .feed_dir = a->words[1] };
	struct listing l = { 0 };
	const struct repo_visitor visitor = { .target = on_target, .arg = &l };
	struct repo_report p = { 0 };
	char feed[4096];
	size_t i;
	enum err e = feed_folder(a->words[0], passphrase, feed, f);

	l.feed = feed;
	if (e == OK)
		e = repo_verify(feed, args_get(a, "root"), &visitor, &p, f);
	if (e == OK)
		e = file_make_dirs(a->words[1], 0755, f);
	if (e == OK)
		e = set_clean(a->words[1], f);
	b.version = p.version;
	b.files = l.list;
	b.count = l.count;
	if (e == OK)
		e = set_build(&b, f);
	if (e == OK)
		e = set_activate(a->words[1], p.version, f);
	if (e == OK)
		e = set_prune(a->words[1], 2, NULL, 0, f);
	if (e == OK)
		printf("%s/current: version %" PRIu64 ", %u files of %" PRIu64
		       " bytes, %u linked\n",
		    a->words[1], p.version, b.members, b.bytes, b.linked);
	for (i = 0; i < l.count; i++) {
		free((void *)l.list[i].path);
		free((void *)l.list[i].source);
	}
	free(l.list);
	return e;
}
