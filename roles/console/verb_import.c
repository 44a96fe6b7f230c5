/* verb_import.c - `import-events`: hands the lines of bundles to the console that runs, which
 * verifies and stores them, and keeps its acknowledgements. */
#include "cli.h"

#include "base/limits.h"
#include "os/file.h"
#include "proto/event_bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define IMPORT_PATH "/v1/events/import"
#define LIMIT_ACKS (8u << 20)

struct importing {
	struct cli *c;
	const char *name;
	FILE *file;
	struct buf head, body, *acks; /* head: the bundle's last line */
	long end;		      /* where it begins */
	bool refused, conflict;
	size_t batches;
};

/* Reads the last line into head. */
static int
find_head(struct importing *x)
{
	struct stat st;
	long from, size;
	size_t at, n;

	if (fstat(fileno(x->file), &st) != 0 || !S_ISREG(st.st_mode))
		return cli_fail(CLI_FAILED, "%s: is no file", x->name);
	if (st.st_size > (off_t)LIMIT_BUNDLE_BYTES)
		return cli_fail(CLI_FAILED, "%s: is larger than any bundle", x->name);
	size = (long)st.st_size;
	from = size > LIMIT_SEALED ? size - LIMIT_SEALED : 0;
	n = (size_t)(size - from);
	if (buf_reserve(&x->head, n + 1) != OK || fseek(x->file, from, SEEK_SET) != 0 ||
	    fread(x->head.data, 1, n, x->file) != n)
		return cli_fail(CLI_FAILED, "%s: cannot be read", x->name);
	while (n > 0 && x->head.data[n - 1] == '\n')
		n--;
	for (at = n; at > 0 && x->head.data[at - 1] != '\n';)
		at--;
	x->head.len = n;
	x->end = from + (long)at;
	buf_consume(&x->head, at);
	return CLI_OK;
}

static int
send_batch(struct importing *x, const char *line, size_t n)
{
	struct cli_reply r;
	int code;

	buf_reset(&x->body);
	if (buf_append(&x->body, x->head.data, x->head.len) != OK ||
	    buf_append(&x->body, "\n", 1) != OK || buf_append(&x->body, line, n) != OK)
		return cli_fail(CLI_INTERNAL, "memory ran out");
	code = cli_request(x->c, "POST", IMPORT_PATH, buf_text(&x->body), x->body.len, 60000, &r);
	cli_reply_free(&r);
	x->batches++;
	if (code == CLI_FAILED && strcmp(x->c->refused, "event-conflict") == 0)
		x->conflict = true;
	if (code == CLI_FAILED)
		x->refused = true;
	return code;
}

/* Goes on behind a batch that is refused: what is whole is acknowledged. But not where the bundle
 * itself is refused, which the first batch shows. */
static int
send_batches(struct importing *x)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int code = CLI_OK;

	if (fseek(x->file, 0, SEEK_SET) != 0)
		return cli_fail(CLI_FAILED, "%s: cannot be read", x->name);
	while (ftell(x->file) < x->end && (n = getline(&line, &room, x->file)) > 0) {
		if (line[n - 1] == '\n')
			n--;
		if (n > LIMIT_BATCH_BYTES || x->batches >= LIMIT_BUNDLE_BATCHES) {
			code = cli_fail(CLI_FAILED, "%s: is no bundle", x->name);
			break;
		}
		code = send_batch(x, line, (size_t)n);
		if (code != CLI_OK &&
		    (code != CLI_FAILED || strcmp(x->c->refused, "event-refused") != 0))
			break;
		code = CLI_OK;
	}
	free(line);
	return code;
}

static void
print_end(struct importing *x, cJSON *o)
{
	const cJSON *receipt;

	if (x->c->json) {
		cJSON_DeleteItemFromObjectCaseSensitive(o, "ack");
		cli_print_json(o);
		return;
	}
	(void)printf("%s: agent %s, %zu batches%s\n", x->name, cli_text(o, "host"), x->batches,
	    x->conflict	 ? ", refused: its numbers are known with other events"
	    : x->refused ? ", not all were taken"
			 : "");
	cJSON_ArrayForEach(receipt, json_get(o, "receipts"))
	{
		uint64_t version = 0;

		(void)!json_get_u64(receipt, "version", JSON_MAX_INT, &version, NULL);
		(void)printf("  %s %llu %.16s since %s, %d refused\n", cli_text(receipt, "feed"),
		    (unsigned long long)version, cli_text(receipt, "sha256"),
		    cli_text(receipt, "activated"),
		    cJSON_GetArraySize(json_get(receipt, "rejected")));
	}
}

static int
take_ack(struct importing *x)
{
	struct cli_reply r;
	const char *ack;
	int code = cli_request(x->c, "POST",
	    x->conflict ? IMPORT_PATH "/end?conflict=1" : IMPORT_PATH "/end", buf_text(&x->head),
	    x->head.len, 60000, &r);

	if (code != CLI_OK)
		return code;
	if (json_get_string(r.body, "ack", &ack, NULL) != OK || buf_puts(x->acks, ack) != OK ||
	    buf_puts(x->acks, "\n") != OK)
		code = cli_fail(CLI_INTERNAL, "the console's answer has no acknowledgement");
	if (code == CLI_OK)
		print_end(x, r.body);
	cli_reply_free(&r);
	return code == CLI_OK && x->refused ? CLI_FAILED : code;
}

static int
import_one(struct cli *c, const char *name, struct buf *acks)
{
	struct importing x = { .c = c, .name = name, .acks = acks, .file = fopen(name, "rbe") };
	int code, end;

	if (x.file == NULL)
		return cli_fail(CLI_FAILED, "%s: %s", name, strerror(errno));
	buf_init(&x.head, LIMIT_SEALED + 1);
	buf_init(&x.body, LIMIT_SEALED + LIMIT_BATCH_BYTES);
	code = find_head(&x);
	if (code == CLI_OK)
		code = send_batches(&x);
	if (code == CLI_OK || x.conflict) {
		end = take_ack(&x);
		code = code == CLI_OK ? end : code;
	}
	buf_free(&x.head);
	buf_free(&x.body);
	(void)fclose(x.file);
	return code;
}

/* Beside the first bundle: on the same stick. */
static int
keep_acks(struct cli *c, const struct buf *acks)
{
	const char *path = args_value(&c->args, "--acks"), *first = c->args.words[0];
	const char *slash = strrchr(first, '/');
	struct fault f = { 0 };
	struct buf name;
	enum err e = OK;

	buf_init(&name, STATE_PATH);
	if (path == NULL && slash != NULL)
		e = buf_append(&name, first, (size_t)(slash - first) + 1);
	if (e == OK)
		e = buf_puts(&name, path != NULL ? path : "acks");
	if (e == OK)
		e = file_replace(buf_text(&name), acks->data, acks->len, 0644, &f);
	if (e == OK && !c->json)
		(void)printf("acknowledgements: %s\n", buf_text(&name));
	buf_free(&name);
	return e == OK ? CLI_OK : cli_fail(CLI_FAILED, "%s", fault_text(&f));
}

int
verb_import(struct cli *c)
{
	struct buf acks;
	int code = CLI_OK, one;

	if (c->args.n_words == 0)
		return cli_fail(CLI_USAGE, "use: import-events BUNDLE ... [--acks FILE]");
	buf_init(&acks, LIMIT_ACKS);
	for (size_t i = 0; i < c->args.n_words; i++) {
		one = import_one(c, c->args.words[i], &acks);
		code = code == CLI_OK ? one : code;
	}
	if (acks.len > 0) {
		one = keep_acks(c, &acks);
		code = code == CLI_OK ? one : code;
	}
	buf_free(&acks);
	return code;
}
