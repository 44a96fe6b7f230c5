/* import.c - see import.h. */
#include "import.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/curlset.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"
#include "proto/childctl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define EXIT_USAGE 2
#define PATH_BYTES 4096
#define GOODBYE_MS 1000
#define TELL_MS 5000
#define TELL_TRIES 5
#define TELL_PAUSE_MS 1000

static const struct import_option {
	const char *name, *value, *dflt, *help;
} table[] = {
	{ "feed", "FEED", "signatures", "the feed that the bundle holds" },
	{ "state", "DIR", "/var/lib/atalaia", "state folder of the agent" },
	{ "root", "DIR", NULL, "the mirror's root (default: mirror/root of the state folder)" },
	{ "first-root", "FILE", NULL,
	    "root.json to start from (default: what enrolment or a package left)" },
	{ "libexec", "DIR", "/usr/lib/atalaia", "where atalaia-fetch is" },
	{ "socket", "PATH", "/run/atalaia/events.sock",
	    "the agent's socket: it is told what came" },
	{ "disk-floor", "BYTES", "0",
	    "bytes that stay free (0: 4 GiB or a tenth, whichever is less)" },
	{ "json", NULL, NULL, "print atalaia-fetch's result" },
};

enum { FEED, STATE, ROOT, FIRST_ROOT, LIBEXEC, SOCKET, DISK_FLOOR, JSON, OPTIONS };

struct import {
	const char *option[OPTIONS];
	char bundle[PATH_BYTES], root[PATH_BYTES], work[PATH_BYTES], first[PATH_BYTES];
	uint64_t floor;
	uv_loop_t loop;
	uv_process_t process;
	struct childctl *ctl;
	cJSON *result;
	int64_t status;
	bool exited, pipe_ended, told, again;
	struct httpc *http;
};

void
import_help(FILE *out)
{
	(void)fputs("\nimport takes what `atalaia-repo export --since` put on a stick into the "
		    "mirror, verified as from any upstream:\n",
	    out);
	for (size_t i = 0; i < OPTIONS; i++)
		(void)fprintf(out, "  --%s%s%-*s %s%s%s%s\n", table[i].name,
		    table[i].value == NULL ? "" : " ",
		    (int)(22 - strlen(table[i].name) - (table[i].value == NULL ? 0 : 1)),
		    table[i].value == NULL ? "" : table[i].value, table[i].help,
		    table[i].dflt == NULL ? "" : " (default: ",
		    table[i].dflt == NULL ? "" : table[i].dflt, table[i].dflt == NULL ? "" : ")");
}

/* ---- words ---- */

static bool
read_words(struct import *m, int argc, char **argv, const char **bundle)
{
	*bundle = NULL;
	for (size_t i = 0; i < OPTIONS; i++)
		m->option[i] = table[i].dflt;
	for (int k = 0; k < argc; k++) {
		size_t i = 0;

		if (!text_starts(argv[k], "--")) {
			if (*bundle != NULL)
				return false;
			*bundle = argv[k];
			continue;
		}
		while (i < OPTIONS && strcmp(argv[k] + 2, table[i].name) != 0)
			i++;
		if (i == OPTIONS || (table[i].value != NULL && k + 1 == argc))
			return false;
		m->option[i] = table[i].value == NULL ? "" : argv[++k];
	}
	return *bundle != NULL && text_is_role_name(m->option[FEED], strlen(m->option[FEED])) &&
	       text_u64(m->option[DISK_FLOOR], strlen(m->option[DISK_FLOOR]), JSON_MAX_INT,
		   &m->floor) == OK;
}

static bool
absolute(const char *path, char out[PATH_BYTES])
{
	char *real = realpath(path, NULL);
	bool fits = real != NULL && text_copy(out, PATH_BYTES, real, strlen(real)) == OK;

	free(real);
	return fits;
}

/* The first root: named, left by enrolment, or left by a package. None is fine for a mirror that
 * has synced before. */
static enum err
find_places(struct import *m, const char *bundle, struct fault *f)
{
	const char *feed = m->option[FEED], *state = m->option[STATE];
	char path[PATH_BYTES];

	if (!absolute(bundle, m->bundle))
		return fault_set(f, ERR_NOTFOUND, "cannot find the bundle %s", bundle);
	if (m->option[ROOT] != NULL ? !absolute(m->option[ROOT], m->root)
				    : snprintf(m->root, PATH_BYTES, "%s/mirror/root", state) < 0)
		return fault_set(f, ERR_NOTFOUND, "cannot find %s", m->option[ROOT]);
	(void)snprintf(m->work, PATH_BYTES, "%s/mirror/work/%s", state, feed);
	if (m->option[FIRST_ROOT] != NULL)
		return absolute(m->option[FIRST_ROOT], m->first)
			   ? OK
			   : fault_set(f, ERR_NOTFOUND, "cannot find %s", m->option[FIRST_ROOT]);
	(void)snprintf(path, PATH_BYTES, "%s/roots/%s.root.json", state, feed);
	if (!file_exists(path))
		(void)snprintf(path, PATH_BYTES, "/etc/atalaia/roots/%s.root.json", feed);
	if (file_exists(path) && !absolute(path, m->first))
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", path);
	return OK;
}

/* ---- atalaia-fetch ---- */

static cJSON *
make_config(const struct import *m)
{
	cJSON *o = childctl_new("config");
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "mode", "mirror");

	if (e == OK)
		e = json_add_string(o, "feed", m->option[FEED]);
	if (e == OK)
		e = json_add_string(o, "root", m->root);
	if (e == OK)
		e = json_add_string(o, "work", m->work);
	if (e == OK && m->first[0] != '\0')
		e = json_add_string(o, "root_json", m->first);
	if (e == OK)
		e = json_add_string(o, "bundle", m->bundle);
	if (e == OK)
		e = json_add_u64(o, "disk_floor", m->floor);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
closed(void *ctx)
{
	(void)ctx;
}

static void
maybe_close(struct import *m)
{
	if (!m->exited || !m->pipe_ended)
		return;
	uv_close((uv_handle_t *)&m->process, NULL);
	childctl_close(m->ctl, GOODBYE_MS, closed, m);
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct import *m = ctx;

	if (strcmp(type, "result") == 0 && m->result == NULL)
		m->result = cJSON_Duplicate(message, 1);
	return OK;
}

static void
on_ended(void *ctx, const struct fault *f)
{
	struct import *m = ctx;

	if (f->code != OK)
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(f));
	m->pipe_ended = true;
	maybe_close(m);
}

static void
on_exit_of_child(uv_process_t *p, int64_t status, int signal)
{
	struct import *m = p->data;

	m->exited = true;
	m->status = signal != 0 ? 1 : status;
	maybe_close(m);
}

/* As root it runs as whom the state folder belongs to: what it writes stays the agent's. */
static void
as_owner(uv_process_options_t *o, const char *state)
{
	struct stat st;

	if (geteuid() != 0 || stat(state, &st) != 0 || st.st_uid == 0)
		return;
	o->flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
	o->uid = st.st_uid;
	o->gid = st.st_gid;
}

static enum err
start(struct import *m, struct fault *f)
{
	static const struct childctl_handlers handlers = { on_message, on_ended };
	char program[PATH_BYTES];
	char *argv[] = { program, NULL };
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE }, { .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 } };
	uv_process_options_t o = { .exit_cb = on_exit_of_child,
		.file = program,
		.args = argv,
		.stdio = stdio,
		.stdio_count = 3 };
	cJSON *config = make_config(m);
	enum err e = config == NULL
			 ? ERR_NOMEM
			 : file_join(program, sizeof program, m->option[LIBEXEC], "atalaia-fetch");

	if (e == OK)
		e = childctl_open_agent(&m->ctl, &m->loop, stdio, &handlers, m);
	if (e != OK) {
		cJSON_Delete(config);
		return e;
	}
	as_owner(&o, m->option[STATE]);
	m->process.data = m;
	if (uv_spawn(&m->loop, &m->process, &o) != 0) {
		cJSON_Delete(config);
		uv_close((uv_handle_t *)&m->process, NULL);
		childctl_close(m->ctl, 0, closed, m);
		return fault_set(f, ERR_NOTFOUND, "cannot start %s", program);
	}
	e = childctl_start(m->ctl);
	if (e == OK)
		return childctl_send(m->ctl, config);
	cJSON_Delete(config);
	return e;
}

/* ---- the end ---- */

static void
told(void *ctx, const struct httpc_response *r)
{
	struct import *m = ctx;

	m->again = r->err == OK && r->status == 429; /* somebody asked a moment ago */
	if (r->err != OK || (r->status / 100 != 2 && !m->again))
		(void)fprintf(stderr,
		    "atalaia-update-agent: the agent was not told (%s); it looks by itself later\n",
		    r->err != OK ? fault_text(&r->fault) : "it refused");
	m->told = true;
}

/* The agent looks at its mirror when it is asked to update, and tells those who wait on 3333. */
static void
tell_agent(struct import *m)
{
	struct httpc_request q = { .method = "POST",
		.unix_socket = m->option[SOCKET],
		.max_body = 65536,
		.total_ms = TELL_MS,
		.done = told,
		.ctx = m };
	char url[160];

	(void)snprintf(url, sizeof url, "http://localhost/v1/update?feed=%s", m->option[FEED]);
	q.url = url;
	if (!file_exists(m->option[SOCKET]) || curlset_global() != OK ||
	    httpc_new(&m->http, &m->loop, NULL, NULL) != OK)
		return;
	for (unsigned tries = 0; tries < TELL_TRIES && (tries == 0 || m->again); tries++) {
		if (tries > 0)
			uv_sleep(TELL_PAUSE_MS);
		m->told = m->again = false;
		if (httpc_start(m->http, &q, NULL, NULL) != OK)
			break;
		while (!m->told)
			(void)uv_run(&m->loop, UV_RUN_ONCE);
	}
	httpc_close(m->http, NULL, NULL);
	(void)uv_run(&m->loop, UV_RUN_DEFAULT);
}

static const char *
word(const cJSON *o, const char *name)
{
	const char *s;

	return json_get_string(o, name, &s, NULL) == OK ? s : "";
}

static void
print_result(const struct import *m)
{
	const cJSON *error;
	uint64_t version = 0;
	struct buf text;

	if (m->option[JSON] != NULL) {
		buf_init(&text, LIMIT_CHILD_LINE);
		if (json_print(m->result, &text) == OK)
			(void)puts(buf_text(&text));
		buf_free(&text);
		return;
	}
	(void)!json_opt_u64(m->result, "version", JSON_MAX_INT, 0, &version, NULL);
	(void)printf("%s: %s, version %llu\n", m->option[FEED], word(m->result, "outcome"),
	    (unsigned long long)version);
	cJSON_ArrayForEach(error, json_get(m->result, "errors"))(void)
	    printf("  %s %s: %s\n", word(error, "file"), word(error, "rule"), word(error, "text"));
}

int
import_main(int argc, char **argv)
{
	struct import m = { .status = 1 };
	struct fault f = { 0 };
	const char *bundle, *outcome;
	enum err e;

	if (!read_words(&m, argc, argv, &bundle))
		return EXIT_USAGE;
	e = find_places(&m, bundle, &f);
	if (e == OK && uv_loop_init(&m.loop) != 0)
		e = ERR_NOMEM;
	if (e == OK) {
		e = start(&m, &f);
		(void)uv_run(&m.loop, UV_RUN_DEFAULT);
		outcome = word(m.result, "outcome");
		if (strcmp(outcome, "updated") == 0 || strcmp(outcome, "current") == 0)
			tell_agent(&m);
		(void)!loop_end(&m.loop);
	}
	if (m.result != NULL)
		print_result(&m);
	else
		(void)fprintf(stderr, "atalaia-update-agent: %s\n",
		    e != OK ? fault_text(&f) : "atalaia-fetch gave no result");
	cJSON_Delete(m.result);
	return e == OK && m.status == 0 ? 0 : 1;
}
