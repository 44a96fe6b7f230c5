/* engine_clamscan.c - the gate for clamd: clamscan loads the staged set in a process of its own,
 * which may crash or be killed without harm, and scans the samples. They are files in memory:
 * nothing for a scanner on this PC to take away, nothing to clean up. */
#include "engine_internal.h"

#include "base/log.h"
#include "base/text.h"
#include "os/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "/proc/self/fd/7: Name FOUND" -> verdict of sample 4. Other lines are talk. */
static bool
line_verdict(const char *line, size_t n, size_t *sample, struct clamd_reply *r)
{
	static const char prefix[] = "/proc/self/fd/";
	size_t at = sizeof prefix - 1, number = 0;

	if (n <= at || memcmp(line, prefix, at) != 0)
		return false;
	for (; at < n && line[at] >= '0' && line[at] <= '9' && number < 1000; at++)
		number = number * 10 + (size_t)(line[at] - '0');
	if (at >= n || line[at] != ':' || number < 3 || clamd_parse(r, line, n, false) != OK)
		return false;
	*sample = number - 3;
	return r->kind == CLAMD_FOUND || r->kind == CLAMD_CLEAN;
}

/* The last line that explains a failure. */
static void
last_line(const char *text, char *out, size_t size)
{
	size_t n = strlen(text), begin;
	struct buf b;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	for (begin = n; begin > 0 && text[begin - 1] != '\n'; begin--)
		;
	buf_init(&b, size - 1);
	if (text_printable(&b, (const uint8_t *)text + begin, n - begin, size / 5) != OK &&
	    b.len == 0)
		begin = n;
	(void)snprintf(out, size, "%s", buf_text(&b));
	buf_free(&b);
}

static void
judge(struct engine_job *j, const char *out)
{
	bool seen[ENGINE_SAMPLES] = { false };
	const char *rule;
	char text[300];

	while (*out != '\0') {
		size_t n = strcspn(out, "\n"), sample;
		struct clamd_reply r;

		if (line_verdict(out, n, &sample, &r) && sample < j->samples.n) {
			seen[sample] = true;
			if (!engine_sample_right(&j->samples.item[sample],
				r.kind == CLAMD_FOUND ? r.text : NULL, j->feed, j->version, &rule,
				text, sizeof text)) {
				engine_job_end(j, ERR_VERIFY, rule, "%s", text);
				return;
			}
		}
		out += n + (out[n] == '\n');
	}
	for (size_t i = 0; i < j->samples.n; i++)
		if (!seen[i]) {
			engine_job_end(j, ERR_STATE, "output",
			    "clamscan says nothing about the sample '%s'", j->samples.item[i].name);
			return;
		}
	if (engine_memory_reload(j) != WAY_NONE)
		engine_job_end(j, OK, "", "%s", "");
}

static void
scanned(void *ctx, const struct captured *r)
{
	struct engine_job *j = ctx;
	char why[200];

	j->run = NULL;
	if (r->status == 0 || r->status == 1) {
		(void)snprintf(j->e->measured, sizeof j->e->measured, "%s", j->set);
		j->e->measured_bytes = r->peak;
		judge(j, r->out);
		return;
	}
	/* A signal may be the kernel that ran out of memory, or a set that crashes the engine. It
	 * must not become current either way. */
	last_line(r->err[0] != '\0' ? r->err : r->out, why, sizeof why);
	if (r->status < 0)
		engine_job_end(j, ERR_VERIFY, "load",
		    "clamscan was ended by signal %d while it loaded the set", r->signal);
	else
		engine_job_end(j, ERR_VERIFY, "load", "clamscan cannot load the set: %s", why);
}

static enum err
sample_files(struct engine_job *j)
{
	enum err e = OK;

	for (size_t i = 0; e == OK && i < j->samples.n; i++)
		e = mem_file("atalaia-sample", j->samples.item[i].bytes.data,
		    j->samples.item[i].bytes.len, &j->fd[i]);
	return e;
}

static void
run_clamscan(struct engine_job *j)
{
	char database[1120], names[ENGINE_SAMPLES][24];
	const char *argv[8 + ENGINE_SAMPLES];
	struct fault f = { OK, "" };
	size_t n = 0;

	if (sample_files(j) != OK) {
		engine_job_end(j, ERR_IO, "samples", "the samples cannot be kept in memory");
		return;
	}
	(void)snprintf(database, sizeof database, "--database=%s", j->set);
	argv[n++] = j->e->o.clamscan;
	argv[n++] = database;
	argv[n++] = "--stdout";
	argv[n++] = "--no-summary";
	argv[n++] = "--official-db-only=no";
	for (size_t i = 0; i < j->samples.n; i++) {
		(void)snprintf(names[i], sizeof names[i], "/proc/self/fd/%zu", i + 3);
		argv[n++] = names[i];
	}
	argv[n] = NULL;
	if (capture_start(&j->run, j->e->o.loop, argv, j->fd, j->samples.n, scanned, j, &f) != OK)
		engine_job_end(j, ERR_NOTFOUND, "clamscan",
		    "%s; install clamav or set [engine] clamscan", fault_text(&f));
}

/* Before a process is made that would push this PC into swap or into the kernel's killer. */
static void
loaded(struct engine_job *j)
{
	if (engine_memory_test(j, j->memory))
		run_clamscan(j);
}

static void
looked(struct engine_job *j)
{
	if (engine_memory_reload(j) == WAY_NONE)
		return;
	j->out.skipped = true;
	engine_job_end(j, OK, "", "%s", "");
}

/* A set that clamd could not take for lack of memory must not become current: clamd's own check of
 * its folder (SelfCheck) would load it without asking. */
enum err
engine_clamscan_gate(struct engine_job *j, struct fault *f)
{
	(void)f;
	engine_job_load(j, j->e->o.gate == GATE_OFF ? looked : loaded);
	return OK;
}
