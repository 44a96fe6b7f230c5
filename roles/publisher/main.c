/* atalaia-repo - makes, signs and publishes feeds. Works offline; exit 0 done, 1 failed, 2 wrong
 * usage or configuration. */
#include "verbs.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "os/confine.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PASSPHRASE_MAX 1024

static void
usage(FILE *out)
{
	const struct verb *v;

	fputs("usage: atalaia-repo VERB ... (atalaia-repo VERB --help says more)\n", out);
	for (v = verbs; v->name != NULL; v++)
		fprintf(out, "  %-14s %-26s %s\n", v->name, v->words, v->help);
	fputs("The passphrase of private keys comes from --passphrase-file FILE or "
	      "ATALAIA_PASSPHRASE.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.\n",
	    out);
}

static void
verb_usage(FILE *out, const struct verb *v)
{
	const struct option_def *o;

	fprintf(out, "usage: atalaia-repo %s %s\n%s.\n", v->name, v->words, v->help);
	for (o = v->options; o->name != NULL; o++) {
		char left[64];

		(void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		fprintf(out, "  %-28s %s\n", left, o->help);
	}
}

/* "key new" is two words, "publish" is one. *used is how many. */
static const struct verb *
find_verb(int argc, char **argv, int *used)
{
	const struct verb *v;

	for (v = verbs; v->name != NULL; v++) {
		const char *space = strchr(v->name, ' ');
		size_t n = space != NULL ? (size_t)(space - v->name) : strlen(v->name);

		if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], v->name, n) != 0)
			continue;
		*used = space != NULL ? 2 : 1;
		if (space == NULL || (argc > 1 && strcmp(argv[1], space + 1) == 0))
			return v;
	}
	return NULL;
}

static enum err
read_passphrase(const struct args *a, struct buf *out, const char **passphrase, struct fault *f)
{
	const char *path = args_get(a, "passphrase-file");
	enum err e;

	*passphrase = getenv("ATALAIA_PASSPHRASE");
	if (*passphrase != NULL && (*passphrase)[0] == '\0')
		*passphrase = NULL;
	if (path == NULL)
		return OK;
	e = file_read(path, out, f);
	if (e != OK)
		return ERR_INVAL;
	while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
		out->data[--out->len] = '\0';
	if (out->len == 0)
		return fault_set(f, ERR_INVAL, "the passphrase in %s is empty", path);
	*passphrase = buf_text(out);
	return OK;
}

static int
run(const struct verb *v, int argc, char **argv)
{
	struct fault f = { 0 };
	struct buf secret;
	struct args a;
	const char *passphrase = NULL;
	enum err e = args_parse(&a, v->options, argc, argv, &f);

	if (args_has(&a, "help")) {
		verb_usage(stdout, v);
		return 0;
	}
	buf_init(&secret, PASSPHRASE_MAX);
	if (e == OK && (a.word_count < v->min_words || a.word_count > v->max_words))
		e = fault_set(&f, ERR_INVAL, "usage: atalaia-repo %s %s", v->name, v->words);
	if (e == OK)
		e = read_passphrase(&a, &secret, &passphrase, &f);
	if (e == OK)
		e = v->run(&a, passphrase, &f);
	buf_wipe(&secret);
	if (e == OK && fflush(stdout) != 0)
		e = fault_set(&f, ERR_IO, "cannot write the answer");
	if (e == OK)
		return 0;
	f.code = f.text[0] != '\0' ? f.code : e;
	fprintf(stderr, "atalaia-repo: %s\n", fault_text(&f));
	return e == ERR_INVAL ? 2 : 1;
}

int
main(int argc, char **argv)
{
	struct fault f = { 0 };
	const struct verb *v;
	int used = 0;

	if (confine_basics(false, &f) != OK || log_init("atalaia-repo", "info") != OK) {
		fprintf(stderr, "atalaia-repo: %s\n", fault_text(&f));
		return 1;
	}
	(void)umask(022); /* what is published is for everybody; keys are made 0600 */
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("atalaia-repo " ATALAIA_VERSION);
		return 0;
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		usage(stdout);
		return 0;
	}
	v = find_verb(argc - 1, argv + 1, &used);
	if (v == NULL) {
		if (argc > 1)
			fprintf(stderr, "atalaia-repo: the verb %s is not known\n", argv[1]);
		usage(stderr);
		return 2;
	}
	return run(v, argc - 1 - used, argv + 1 + used);
}
