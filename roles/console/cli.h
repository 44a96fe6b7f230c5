/* cli.h - what the verbs of the command line share: configuration, arguments, requests to 2226,
 * exit codes. 0 done; 1 refused or failed; 2 wrong usage or configuration; 3 the console does not
 * answer. */
#ifndef CONSOLE_CLI_H
#define CONSOLE_CLI_H

#include "args.h"
#include "base/buf.h"
#include "base/json.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3, CLI_INTERNAL = 70 };

struct cli {
	struct options o;
	struct args args;
	bool json;
	char token[65]; /* read with the first request */
	uint16_t port;
	char refused[64]; /* code of the last refusal, "" when there was none */
};

/* One answer of the console. body NULL: none (204). Free with cli_reply_free. */
struct cli_reply {
	int status;
	cJSON *body;
};

/* Sends and waits; prints a sentence and gives the exit code when that fails or when the answer is
 * a problem. body NULL: none. */
int cli_request(struct cli *c, const char *method, const char *path, const char *body, size_t n,
    uint32_t wait_ms, struct cli_reply *out);
/* body is a tree; taken. */
int cli_post(struct cli *c, const char *path, cJSON *body, struct cli_reply *out);
void cli_reply_free(struct cli_reply *r);
int cli_fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3); /* to stderr; returns code */
void cli_print_json(const cJSON *tree);				/* one line, for programs */
void cli_print_document(const cJSON *tree);			/* indented, for people */
/* For a terminal: bytes that would do something else than be seen become '?'. */
void cli_clean(char *text, size_t n);
/* Text member of an object for people: "-" when absent; control bytes made visible. */
const char *cli_text(const cJSON *o, const char *name);
int cli_read_file(const char *path, struct buf *out); /* "-" = stdin */
/* Appends path?name=value, percent-encoded; value NULL: nothing. */
MUST_CHECK enum err cli_query(struct buf *path, const char *name, const char *value);

/* Sends a task (or writes its --draft) and, with --wait, follows it. args is taken. */
int cli_send_task(struct cli *c, const char *target, const char *type, cJSON *args);
/* The task as it is; with --wait once it has ended; with --follow each change as one line. */
int cli_task_show(struct cli *c, const char *id);
void cli_task_print(const cJSON *task);

int verb_init(struct cli *c);
int verb_serve(struct cli *c);
int verb_status(struct cli *c);
int verb_token(struct cli *c);
int verb_agents(struct cli *c);
int verb_revoke(struct cli *c);
int verb_task(struct cli *c);
int verb_events(struct cli *c);
int verb_import(struct cli *c);
int verb_policy(struct cli *c);
int verb_authority(struct cli *c);
int verb_backup(struct cli *c);
int verb_restore(struct cli *c);
int verb_user(struct cli *c);
int verb_rotate_ca(struct cli *c);

#endif
