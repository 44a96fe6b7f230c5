/* tuf-client: the update client of common/update behind the command line of the TUF conformance
 * suite. Exit status 0 or 1, nothing else; reasons on stderr. */
#include "base/limits.h"
#include "download.h"
#include "os/file.h"
#include "update/tuf.h"
#include "web.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TARGETS 256

struct options {
	const char *metadata_dir, *metadata_url, *target_dir, *target_base_url;
	const char *targets[MAX_TARGETS];
	size_t n_targets;
	const char *verb, *root;
};

static const char usage[] = "tuf-client --metadata-dir DIR init ROOT.json\n"
			    "tuf-client --metadata-dir DIR --metadata-url URL refresh\n"
			    "tuf-client --metadata-dir DIR --metadata-url URL --target-name PATH "
			    "[--target-name PATH2 ...]\n"
			    "    --target-dir TDIR --target-base-url URL2 download\n";

static enum err
parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "metadata-dir", required_argument, NULL, 'd' },
		{ "metadata-url", required_argument, NULL, 'u' },
		{ "target-name", required_argument, NULL, 'n' },
		{ "target-dir", required_argument, NULL, 't' },
		{ "target-base-url", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			o->metadata_dir = optarg;
			break;
		case 'u':
			o->metadata_url = optarg;
			break;
		case 't':
			o->target_dir = optarg;
			break;
		case 'b':
			o->target_base_url = optarg;
			break;
		case 'n':
			if (o->n_targets == MAX_TARGETS)
				return ERR_TOOBIG;
			o->targets[o->n_targets++] = optarg;
			break;
		default:
			return ERR_INVAL;
		}
	}
	o->verb = optind < argc ? argv[optind++] : "";
	o->root = optind < argc ? argv[optind++] : NULL;
	return optind == argc && o->metadata_dir != NULL ? OK : ERR_INVAL;
}

static enum err
run_init(const struct options *o, struct fault *f)
{
	struct buf root;
	enum err e;

	if (o->root == NULL)
		return fault_set(f, ERR_INVAL, "init needs the file of the trusted root");
	buf_init(&root, LIMIT_TUF_ROOT);
	e = file_read(o->root, &root, f);
	if (e == OK)
		e = tuf_init(o->metadata_dir, root.data, root.len, f);
	buf_free(&root);
	return e;
}

struct metadata {
	struct web *web;
	const char *url;
};

static enum err
take_buf(void *ctx, const void *p, size_t n)
{
	return buf_append(ctx, p, n);
}

static enum err
fetch_metadata(void *ctx, const char *name, size_t max, struct buf *out, struct fault *f)
{
	struct metadata *m = ctx;

	(void)max; /* out was made with it */
	return web_get(m->web, m->url, name, take_buf, out, f);
}

static enum err
download_all(const struct options *o, struct tuf *t, const struct tuf_source *s, struct web *w)
{
	enum err result = OK, e;
	struct tuf_target target;
	struct fault f;
	size_t i;

	for (i = 0; i < o->n_targets; i++) {
		fault_reset(&f);
		e = tuf_find(t, s, o->targets[i], &target, &f);
		if (e == OK)
			e = download_target(t, w, o->target_base_url, o->target_dir, &target, &f);
		if (e == OK)
			continue;
		(void)fprintf(stderr, "tuf-client: %s: %s\n", o->targets[i], fault_text(&f));
		result = e;
	}
	return result;
}

static enum err
run_update(const struct options *o, bool download, struct fault *f)
{
	struct metadata m = { NULL, o->metadata_url };
	struct tuf_source s = { fetch_metadata, &m };
	struct tuf_options to = { .dir = o->metadata_dir };
	struct tuf *t = NULL;
	enum err e;

	if (o->metadata_url == NULL || o->root != NULL)
		return fault_set(f, ERR_INVAL, "refresh and download need --metadata-url");
	if (download && (o->n_targets == 0 || o->target_dir == NULL || o->target_base_url == NULL))
		return fault_set(f, ERR_INVAL,
		    "download needs --target-name, --target-dir and --target-base-url");
	e = web_open(&m.web, f);
	if (e == OK)
		e = tuf_open(&t, &to, f);
	if (e == OK)
		e = tuf_refresh(t, &s, NULL, 0, f);
	if (e == OK && download)
		e = file_make_dirs(o->target_dir, 0755, f);
	if (e == OK && download) {
		e = download_all(o, t, &s, m.web);
		if (e != OK)
			(void)fault_set(f, e, "not every target could be downloaded");
	}
	tuf_close(t);
	web_close(m.web);
	return e;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct fault f = { OK, "" };
	enum err e = parse(&o, argc, argv);

	(void)signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error, not the end of us */
	if (e == OK && strcmp(o.verb, "init") == 0)
		e = run_init(&o, &f);
	else if (e == OK && strcmp(o.verb, "refresh") == 0)
		e = run_update(&o, false, &f);
	else if (e == OK && strcmp(o.verb, "download") == 0)
		e = run_update(&o, true, &f);
	else
		e = fault_set(&f, ERR_INVAL, "usage:\n%s", usage);
	if (e == OK)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "tuf-client: %s\n", fault_text(&f));
	return EXIT_FAILURE;
}
