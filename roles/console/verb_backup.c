/* verb_backup.c - backup (running or not) and restore. */
#include "backup.h"
#include "cli.h"
#include "feed.h"
#include "os/confine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The console that runs writes the file itself, because it holds the repository. */
static int
ask_console(struct cli *c, const char *path)
{
	char here[STATE_PATH];
	cJSON *body = cJSON_CreateObject();
	struct cli_reply r;
	struct buf b;
	int code;

	buf_init(&b, 2 * STATE_PATH);
	if (body == NULL || (path[0] != '/' && getcwd(here, sizeof(here)) == NULL) ||
	    buf_printf(&b, "%s%s%s", path[0] == '/' ? "" : here, path[0] == '/' ? "" : "/", path) !=
		OK ||
	    json_add_string(body, "path", buf_text(&b)) != OK) {
		cJSON_Delete(body);
		buf_free(&b);
		return cli_fail(CLI_USAGE, "'%s' is no path", path);
	}
	buf_free(&b);
	code = cli_post(c, "/v1/backup", body, &r);
	cli_reply_free(&r);
	return code;
}

int
verb_backup(struct cli *c)
{
	struct fault f = { 0 };
	struct feed *lock = NULL;
	enum err e;

	if (c->args.n_words != 1)
		return cli_fail(CLI_USAGE, "use: backup FILE");
	e = confine_basics(false, &f);
	if (e == OK)
		e = feed_open(&lock, &c->o, &f);
	if (e == ERR_BUSY)
		return ask_console(c, c->args.words[0]);
	if (e == OK)
		e = backup_write(&c->o, c->args.words[0], &f);
	feed_close(lock);
	return e == OK ? CLI_OK : cli_fail(CLI_FAILED, "%s", fault_text(&f));
}

int
verb_restore(struct cli *c)
{
	struct fault f = { 0 };

	if (c->args.n_words != 1)
		return cli_fail(CLI_USAGE, "use: restore FILE");
	if (confine_basics(false, &f) != OK || backup_read(&c->o, c->args.words[0], &f) != OK)
		return cli_fail(CLI_FAILED, "%s", fault_text(&f));
	if (!c->json)
		(void)printf("restored into %s\n", c->o.state);
	return CLI_OK;
}
