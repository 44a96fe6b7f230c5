/* engine_look.c - one look at an engine's health. clamd: its version, a scan of something clean
 * (PING was seen answered while every scan failed), its memory. A command: a scan of something
 * clean with the set that is current. */
#include "engine_internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "os/mem.h"
#include "proto/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum err
engine_ask_scan(struct engine_ask **out, struct engine *e, const struct buf *content,
    void (*done)(void *ctx, const struct engine_answer *a), void *ctx)
{
	struct buf request;
	enum err k;

	buf_init(&request, 2 * (size_t)LIMIT_SAMPLE_BYTES);
	k = clamd_instream(&request, content->data, content->len);
	if (k == OK)
		k = engine_ask(out, e->o.loop, e->o.clamd_socket, request.data, request.len,
		    ENGINE_ASK_MS, done, ctx);
	buf_free(&request);
	return k;
}

/* --- clamd: memory --- */

/* A concurrent reload holds the signatures twice: less free memory than they take now means that it
 * cannot be done. Told once, until there is a fifth more. */
static void
weigh(struct engine *e)
{
	uint64_t free_bytes;

	if (e->stats.memory == 0 || mem_available(&free_bytes) != OK)
		return;
	if (e->o.memory_limit != 0 && e->o.memory_limit < free_bytes)
		free_bytes = e->o.memory_limit;
	if (!e->memory_short && free_bytes < e->stats.memory) {
		e->memory_short = true;
		log_warn(
		    "engine.memory", "used=%" PRIu64 " free=%" PRIu64, e->stats.memory, free_bytes);
		engine_tell(e, "engine.memory", "used", e->stats.memory, "free", free_bytes);
	} else if (free_bytes > e->stats.memory + e->stats.memory / 5) {
		e->memory_short = false;
	}
}

static void
stats_answered(void *ctx, const struct engine_answer *a)
{
	struct engine *e = ctx;

	e->look_ask = NULL;
	/* Some have EnableStatsCommand off: no memory then, and no complaint. */
	if (a->err == OK && clamd_stats_parse(&e->stats, a->raw, a->raw_len) == OK)
		weigh(e);
}

/* --- clamd: version and a scan --- */

static void
look_scanned(void *ctx, const struct engine_answer *a)
{
	struct engine *e = ctx;
	char version[CLAMD_NAME];

	e->look_ask = NULL;
	memcpy(version, e->version, sizeof version);
	if (a->err != OK || a->reply.kind != CLAMD_CLEAN) {
		e->stats = (struct clamd_stats){ 0 };
		engine_seen(e, false, "", a->err != OK ? err_text(a->err) : a->reply.text);
		return;
	}
	engine_seen(e, true, version, "");
	if (engine_ask(&e->look_ask, e->o.loop, e->o.clamd_socket, "zSTATS", 7, ENGINE_ASK_MS,
		stats_answered, e) != OK)
		log_warn("engine.look", "why=%s", "no memory");
}

static void
take_version(struct engine *e, const char *version)
{
	bool news = e->known && e->version[0] != '\0';

	if (strcmp(e->version, version) == 0)
		return;
	log_info("engine.version", "version=%s", log_q(version));
	(void)snprintf(e->version, sizeof e->version, "%s", version);
	if (news)
		engine_tell(e, "engine.version", NULL, 0, NULL, 0);
}

static void
look_answered(void *ctx, const struct engine_answer *a)
{
	struct engine *e = ctx;
	struct buf clean;
	enum err k;

	e->look_ask = NULL;
	if (a->err != OK) {
		engine_seen(e, false, "", err_text(a->err));
		return;
	}
	if (a->reply.kind == CLAMD_VERSION)
		take_version(e, a->reply.text);
	buf_init(&clean, 4096);
	k = clamd_clean_sample(&clean);
	if (k == OK)
		k = engine_ask_scan(&e->look_ask, e, &clean, look_scanned, e);
	buf_free(&clean);
	if (k != OK)
		log_warn("engine.look", "why=%s", err_word(k));
}

void
engine_clamd_look(struct engine *e)
{
	if (engine_ask(&e->look_ask, e->o.loop, e->o.clamd_socket, "zVERSION", 9, ENGINE_ASK_MS,
		look_answered, e) != OK)
		log_warn("engine.look", "why=%s", "no memory");
}

/* --- a command --- */

static void
close_sample(struct engine *e)
{
	if (e->look_fd >= 0)
		(void)close(e->look_fd);
	e->look_fd = -1;
}

static void
command_looked(void *ctx, const struct captured *r)
{
	struct engine *e = ctx;
	char name[CLAMD_NAME], text[200];

	e->look_run = NULL;
	close_sample(e);
	command_first_word(name, sizeof name, r->out);
	if (r->status != 0 && r->status != 1)
		(void)snprintf(text, sizeof text, "the scan command ends with %d: %.120s",
		    (int)r->status, r->err);
	else if (name[0] != '\0')
		(void)snprintf(text, sizeof text, "a clean sample is called %.120s", name);
	else
		text[0] = '\0';
	engine_seen(e, text[0] == '\0', "", text);
}

/* Before the first reload there is no set to scan with, and nothing to complain about. */
void
engine_command_look(struct engine *e)
{
	struct fault f = { OK, "" };
	struct command w;
	struct buf clean;
	enum err k;

	if (e->look_run != NULL) {
		capture_cancel(e->look_run); /* it had the whole time between two looks */
		e->look_run = NULL;
		close_sample(e);
		engine_seen(e, false, "", "the scan command takes too long");
		return;
	}
	if (e->current[0] == '\0') {
		engine_seen(e, true, "", "");
		return;
	}
	k = command_make(&w, e->o.command_scan, e->current, "/proc/self/fd/3");
	buf_init(&clean, 4096);
	if (k == OK)
		k = clamd_clean_sample(&clean);
	if (k == OK)
		k = mem_file("atalaia-look", clean.data, clean.len, &e->look_fd);
	if (k == OK)
		k = capture_start(
		    &e->look_run, e->o.loop, w.argv, &e->look_fd, 1, command_looked, e, &f);
	buf_free(&clean);
	command_free(&w);
	if (k == OK)
		return;
	close_sample(e);
	engine_seen(e, false, "", f.code != OK ? fault_text(&f) : err_text(k));
}

void
engine_look_cancel(struct engine *e)
{
	engine_ask_cancel(e->look_ask);
	e->look_ask = NULL;
	capture_cancel(e->look_run);
	e->look_run = NULL;
	close_sample(e);
}
