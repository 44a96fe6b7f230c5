/* engine_command.c - any engine that is a command line: YARA, Suricata, others. Words of the option
 * are split by proto/command.h; {set} and {file} are replaced inside a word. No shell. command_test
 * ends with 0 when the set in {set} loads command_reload ends with 0 when the engine took the set
 * in {set} command_scan   ends with 0 or 1; prints nothing for a clean {file}, else the first word
 * of its first line is the name of what was found. Any other end is an error. */
#include "engine_internal.h"

#include "os/mem.h"
#include "proto/command.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_FACTOR 3 /* loaded bytes for each byte of text rules, estimated on the safe side */

/* --- gate: the test command, then the samples against nothing but the staged set --- */

static void scan_sample(struct engine_job *j);

static void
sample_done(void *ctx, const struct captured *r)
{
	struct engine_job *j = ctx;
	char name[CLAMD_NAME], text[300];
	const char *rule;

	j->run = NULL;
	if (r->status != 0 && r->status != 1) {
		engine_job_end(j, ERR_STATE, "scan", "the scan command ends with %d: %.160s",
		    (int)r->status, r->err);
		return;
	}
	command_first_word(name, sizeof name, r->out);
	if (!engine_sample_right(&j->samples.item[j->at], name[0] != '\0' ? name : NULL, j->feed,
		j->version, &rule, text, sizeof text)) {
		engine_job_end(j, ERR_VERIFY, rule, "%s", text);
		return;
	}
	j->at++;
	scan_sample(j);
}

static void
scan_sample(struct engine_job *j)
{
	struct command w;
	struct fault f = { OK, "" };
	enum err k;

	if (j->at == j->samples.n) {
		engine_job_end(j, OK, "", "%s", "");
		return;
	}
	k = command_make(&w, j->e->o.command_scan, j->set, "/proc/self/fd/3");
	if (k == OK)
		k = mem_file("atalaia-sample", j->samples.item[j->at].bytes.data,
		    j->samples.item[j->at].bytes.len, &j->fd[j->at]);
	if (k == OK)
		k = capture_start(
		    &j->run, j->e->o.loop, w.argv, &j->fd[j->at], 1, sample_done, j, &f);
	if (k != OK)
		engine_job_end(j, k, "scan", "the scan command cannot be started: %s",
		    f.code != OK ? fault_text(&f) : err_text(k));
	command_free(&w);
}

static void
command_done(void *ctx, const struct captured *r)
{
	struct engine_job *j = ctx;
	const char *what = j->kind == ENGINE_GATE ? "test" : "reload";

	j->run = NULL;
	if (r->status != 0)
		engine_job_end(j, j->kind == ENGINE_GATE ? ERR_VERIFY : ERR_STATE,
		    j->kind == ENGINE_GATE ? "load" : "reload",
		    "the %s command ends with %d: %.200s", what, (int)r->status,
		    r->err[0] != '\0' ? r->err : r->out);
	else if (j->kind == ENGINE_GATE)
		scan_sample(j);
	else
		engine_job_end(j, OK, "", "%s", "");
}

static enum err
run_command(struct engine_job *j, const char *line, struct fault *f)
{
	struct command w;
	enum err k;

	if (line[0] == '\0') {
		j->out.skipped = true;
		engine_job_end(j, OK, "", "%s", "");
		return OK;
	}
	k = command_make(&w, line, j->set, "");
	if (k == OK)
		k = capture_start(&j->run, j->e->o.loop, w.argv, NULL, 0, command_done, j, f);
	command_free(&w);
	return k;
}

static void
test_loaded(struct engine_job *j)
{
	struct fault f = { OK, "" };
	enum err k;

	if (!engine_memory_fits(j, MEMORY_FACTOR))
		return;
	k = run_command(j, j->e->o.command_test, &f);
	if (k != OK)
		engine_job_end(j, k, "start", "%s", fault_text(&f));
}

static enum err
command_gate(struct engine_job *j, struct fault *f)
{
	j->marker = false; /* markers are ClamAV signatures */
	if (j->e->o.gate == GATE_OFF)
		return run_command(j, "", f);
	if (j->e->o.command_test[0] == '\0')
		return run_command(j, "", f);
	engine_job_load(j, test_loaded);
	return OK;
}

static enum err
command_reload(struct engine_job *j, struct fault *f)
{
	return run_command(j, j->e->o.command_reload, f);
}

/* The samples against the set that is current: {set} of a probe is where the last reload pointed.
 */
static enum err
command_probe(struct engine_job *j, struct fault *f)
{
	(void)f;
	j->marker = false;
	(void)snprintf(j->set, sizeof j->set, "%s", j->e->current);
	if (j->set[0] == '\0') {
		j->out.skipped = true;
		engine_job_end(j, OK, "", "%s", "");
		return OK;
	}
	engine_job_load(j, scan_sample);
	return OK;
}

static void
command_stop(struct engine_job *j)
{
	capture_cancel(j->run);
	j->run = NULL;
}

const struct engine_ops engine_command_ops = { command_gate, command_reload, command_probe,
	command_stop, engine_command_look };
