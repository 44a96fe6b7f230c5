/* engine_facts.c - what can be known of the clamd that runs: its memory, the folder it loads, and
 * how it reloads. clamd tells none of it over its socket; its configuration and /proc do. */
#include "engine_internal.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "os/proc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLAMDS 8
#define CONF_BYTES 262144
#define SLACK_MS 1000 /* a start is known to a tick, a file's time to less */
#define DEFAULT_CONF "/etc/clamav/clamd.conf"

static bool
is_no(const char *value)
{
	return text_eq_nocase(value, strlen(value), "no") || strcmp(value, "0") == 0 ||
	       text_eq_nocase(value, strlen(value), "false");
}

/* What it began with counts: a configuration that is younger than the process says nothing. */
static enum reload_kind
kind_of(const char *text, const char *path, const struct proc *p)
{
	char value[16];
	struct stat st;

	if (stat(path, &st) != 0 || p->started == 0 ||
	    (int64_t)st.st_mtim.tv_sec * 1000 > p->started + SLACK_MS)
		return RELOAD_UNKNOWN;
	if (clamd_conf_value(text, "ConcurrentDatabaseReload", value, sizeof value) && is_no(value))
		return RELOAD_BLOCKING;
	return RELOAD_CONCURRENT;
}

/* Is its folder the active set of the feed that the new set (<feed>/sets/<version>) belongs to? */
static uint64_t
bytes_held(const char *text, const char *set)
{
	char folder[PATH_MAX], current[PATH_MAX], a[PATH_MAX], b[PATH_MAX];

	if (set[0] == '\0' || !clamd_conf_value(text, "DatabaseDirectory", folder, sizeof folder) ||
	    file_join(current, sizeof current, set, "../../current") != OK ||
	    realpath(folder, a) == NULL || realpath(current, b) == NULL || strcmp(a, b) != 0)
		return 0;
	return engine_set_bytes(a);
}

static bool
read_one(struct engine_facts *f, const struct proc *p, const char *socket, const char *conf,
    const char *set)
{
	const char *path = conf[0] != '\0' ? conf : clamd_conf_argument(p->args);
	char value[PATH_MAX];
	struct buf text;
	bool ours = false;

	if (path == NULL)
		path = DEFAULT_CONF;
	buf_init(&text, CONF_BYTES);
	if (path[0] == '/' && file_read(path, &text, NULL) == OK &&
	    clamd_conf_value(buf_text(&text), "LocalSocket", value, sizeof value) &&
	    strcmp(value, socket) == 0) {
		ours = f->running = true;
		f->started = p->started;
		f->memory = p->anonymous;
		f->kind = kind_of(buf_text(&text), path, p);
		f->holds = bytes_held(buf_text(&text), set);
		(void)snprintf(f->conf, sizeof f->conf, "%s", path);
	}
	buf_free(&text);
	return ours;
}

void
engine_facts_read(struct engine_facts *f, const char *socket, const char *conf, const char *set)
{
	struct proc *list = calloc(CLAMDS, sizeof *list);
	size_t n = 0;

	memset(f, 0, sizeof *f);
	if (list != NULL && proc_named("clamd", list, CLAMDS, &n) == OK)
		for (size_t i = 0; i < n && !read_one(f, &list[i], socket, conf, set); i++)
			;
	free(list);
}
