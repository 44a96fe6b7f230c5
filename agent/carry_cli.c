/* carry_cli.c - `export-events` and `import-acks`: from the running agent's socket to a file on a
 * stick and back. */
#include "carry.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define ASK_MS 600000 /* a slow stick */
#define LIMIT_ACKS (64u << 20)

struct asking {
	uv_loop_t loop;
	struct httpc *client;
	const char *socket;
	int fd; /* where pieces of the answer go, -1: none */
	enum err written;
	int status;
	enum err err;
	struct fault fault;
	struct buf body;
	char events[24], more[8];
};

static int
complain(const char *what, const char *why)
{
	(void)fprintf(stderr, "atalaia-agent: %s: %s\n", what, why);
	return 1;
}

static bool
on_piece(void *ctx, const uint8_t *p, size_t n)
{
	struct asking *x = ctx;

	x->written = file_write_all(x->fd, p, n);
	return x->written == OK;
}

static void
copy_field(char *dst, size_t size, const struct httpc_response *r, const char *name)
{
	const char *text = httpc_field(r, name);

	(void)snprintf(dst, size, "%s", text != NULL ? text : "");
}

static void
on_done(void *ctx, const struct httpc_response *r)
{
	struct asking *x = ctx;

	x->err = r->err;
	x->status = r->status;
	x->fault = r->fault;
	copy_field(x->events, sizeof x->events, r, "Atalaia-Events");
	copy_field(x->more, sizeof x->more, r, "Atalaia-More");
	if (r->err == OK && buf_append(&x->body, r->body, r->len) != OK)
		x->err = ERR_NOMEM;
	httpc_close(x->client, NULL, NULL);
}

static enum err
ask(struct asking *x, const char *path, const void *body, size_t n)
{
	struct httpc_request q = { .method = "POST",
		.unix_socket = x->socket,
		.body = body,
		.body_len = n,
		.max_body = x->fd >= 0 ? SIZE_MAX : LIMIT_HTTP_BODY,
		.total_ms = ASK_MS,
		.data = x->fd >= 0 ? on_piece : NULL,
		.done = on_done,
		.ctx = x };
	char url[128];
	enum err e;

	(void)snprintf(url, sizeof url, "http://localhost%s", path);
	q.url = url;
	x->err = ERR_CLOSED;
	buf_init(&x->body, LIMIT_HTTP_BODY);
	if (uv_loop_init(&x->loop) != 0)
		return ERR_NOMEM;
	e = httpc_new(&x->client, &x->loop, NULL, &x->fault);
	if (e == OK && (e = httpc_start(x->client, &q, NULL, &x->fault)) != OK)
		httpc_close(x->client, NULL, NULL);
	(void)uv_run(&x->loop, UV_RUN_DEFAULT);
	(void)!loop_end(&x->loop);
	return e == OK ? x->err : e;
}

/* What a refusal says. */
static const char *
refusal(const struct asking *x, char code[64])
{
	static char detail[400];
	const char *text;
	cJSON *o = NULL;

	(void)snprintf(detail, sizeof detail, "the agent answers %d", x->status);
	code[0] = '\0';
	if (json_parse(&o, buf_text(&x->body), x->body.len, JSON_EVENT, NULL) == OK) {
		if (json_get_string(o, "code", &text, NULL) == OK)
			(void)snprintf(code, 64, "%s", text);
		if (json_get_string(o, "detail", &text, NULL) == OK)
			(void)snprintf(detail, sizeof detail, "%s", text);
	}
	cJSON_Delete(o);
	return detail;
}

/* --- export-events --- */

static enum err
keep(const struct asking *x, const char *tmp, const char *file, struct fault *f)
{
	char dir[LIMIT_STATE_PATH];
	const char *slash = strrchr(file, '/');
	enum err e = file_sync(x->fd);

	if (e == OK)
		e = slash == NULL ? text_copy(dir, sizeof dir, ".", 1)
				  : text_copy(dir, sizeof dir, file, (size_t)(slash - file) + 1);
	if (e == OK && rename(tmp, file) != 0)
		return fault_sys(f, errno, "cannot write %s", file);
	return e == OK ? file_sync_dir(dir, f) : e;
}

static int
export_to(struct asking *x, const char *tmp, const char *file)
{
	struct fault f = { 0 };
	char code[64];
	enum err e = ask(x, CARRY_EXPORT_PATH, NULL, 0);

	if (x->written != OK)
		return complain(file, err_text(x->written));
	if (e != OK)
		return complain("the agent does not answer on its socket", fault_text(&x->fault));
	if (x->status != 200)
		return complain("not exported", refusal(x, code));
	if (keep(x, tmp, file, &f) != OK)
		return complain(file, fault_text(&f));
	(void)printf("%s: %s events%s\n", file, x->events,
	    strcmp(x->more, "yes") == 0
		? "; more wait than fit: export again after their acknowledgement"
		: "");
	return 0;
}

int
carry_export_main(const struct agent_conf *conf, const char *file)
{
	struct asking x = { .fd = -1, .socket = conf->event_socket };
	char tmp[LIMIT_STATE_PATH];
	int status;

	if (snprintf(tmp, sizeof tmp, "%s.tmp", file) >= (int)sizeof tmp)
		return complain(file, "the name is too long");
	x.fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (x.fd < 0)
		return complain(tmp, strerror(errno));
	status = export_to(&x, tmp, file);
	(void)close(x.fd);
	if (status != 0)
		(void)unlink(tmp);
	buf_free(&x.body);
	return status;
}

/* --- import-acks --- */

enum told { TOLD_FAILED, TOLD_OURS, TOLD_OTHERS };

static enum told
tell(struct asking *x, const char *line, size_t n)
{
	char code[64];
	const char *why;
	enum told told = TOLD_FAILED;
	enum err e = ask(x, CARRY_ACKS_PATH, line, n);

	if (e != OK) {
		(void)complain("the agent does not answer on its socket", fault_text(&x->fault));
	} else if (x->status == 200) {
		(void)printf("%s\n", buf_text(&x->body));
		told = TOLD_OURS;
	} else {
		why = refusal(x, code);
		if (strcmp(code, "not-ours") == 0)
			told = TOLD_OTHERS;
		else
			(void)complain("not taken", why);
	}
	buf_free(&x->body);
	return told;
}

/* A file may hold acknowledgements for a whole site; the agent takes its own. */
int
carry_acks_main(const struct agent_conf *conf, const char *file)
{
	struct asking x = { .fd = -1, .socket = conf->event_socket };
	struct fault f = { 0 };
	size_t ours = 0, failed = 0;
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_ACKS);
	e = file_read(file, &text, &f);
	if (e != OK)
		(void)complain(file, fault_text(&f));
	for (size_t at = 0, n; e == OK && at < text.len; at += n + 1) {
		const char *line = buf_text(&text) + at, *end = memchr(line, '\n', text.len - at);
		enum told told;

		n = end == NULL ? text.len - at : (size_t)(end - line);
		told = n == 0 ? TOLD_OTHERS : tell(&x, line, n);
		ours += told == TOLD_OURS;
		failed += told == TOLD_FAILED;
	}
	buf_free(&text);
	if (e == OK && ours == 0 && failed == 0)
		return complain(file, "it holds no acknowledgement for this agent");
	return e == OK && failed == 0 ? 0 : 1;
}
