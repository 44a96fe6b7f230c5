/* job.c - the run from the first lock to the report. */
#include "job.h"

#include "documents.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

void
job_cancel(struct job *j)
{
	atomic_store(&j->cancel, true);
	downloader_cancel(j->downloader);
}

static void
on_bytes(void *arg, uint64_t total)
{
	struct job *j = arg;

	uint64_t done = total - j->batch_from;

	j->received = total;
	if (j->batch_bytes == 0)
		progress_amount(j->progress, done, 0); /* metadata: nobody knows how much */
	else
		progress_amount(j->progress, done, done > j->batch_bytes ? done : j->batch_bytes);
}

/* Failures that are nobody's but this PC's still need a line that says so. */
static void
explain(struct job *j, enum err e, const struct fault *f)
{
	struct refusal r = { .source = "", .rule = "local", .error = e, .text = fault_text(f) };

	if (j->waiting)
		r.rule = "waiting";
	else if (e == ERR_NOSPACE)
		r.rule = "disk";
	else if (report_has(j->report, e) && e != ERR_IO)
		return; /* a source's, and told with its name */
	report_refuse(j->report, &r);
}

static void
conclude(struct job *j, enum err e, const struct fault *f)
{
	struct report *r = j->report;

	if (e == ERR_CANCELED || atomic_load(&j->cancel))
		r->outcome = e == OK ? r->outcome : OUTCOME_CANCELED;
	else if (j->waiting)
		r->outcome = OUTCOME_WAITING;
	else if (e != OK)
		r->outcome = OUTCOME_FAILED;
	if (e != OK && r->outcome != OUTCOME_CANCELED)
		explain(j, e, f);
}

static enum err
start(struct job *j, struct fault *f)
{
	struct downloader_options o = { .rate_limit = j->config->rate_limit,
		.stall_ms = j->config->stall_ms,
		.proxy = j->config->proxy,
		.progress = on_bytes,
		.arg = j };
	enum err e = downloader_new(&j->downloader, &o);

	return e == OK ? OK : fault_set(f, e, "no memory for downloads");
}

enum err
job_start(struct job *j, const struct fetch_config *c, struct report *r, struct progress *p,
    struct fault *f)
{
	memset(j, 0, sizeof *j);
	j->config = c;
	j->report = r;
	j->progress = p;
	j->objects.lock = -1;
	atomic_init(&j->cancel, false);
	return start(j, f);
}

static enum err
run_mode(struct job *j, struct fault *f)
{
	enum err e;

	if (j->config->mode == FETCH_SEND)
		return job_send(j, f);
	e = objects_open(&j->objects, j->config->work, f);
	if (e == OK && j->config->bundle != NULL)
		e = job_unpack(j, f);
	if (e == OK)
		e = job_open_tuf(j, f);
	if (e == OK)
		e = j->config->mode == FETCH_SET ? job_set(j, f) : job_mirror(j, f);
	return e;
}

void
job_run(struct job *j)
{
	struct fault f = { 0 };
	uint64_t began = clock_mono_ms();
	enum err e = run_mode(j, &f);

	conclude(j, e, &f);
	if (j->config->bundle != NULL)
		job_unpacked_remove(j);
	j->report->ms = clock_mono_ms() - began;
	log_info("fetch.done",
	    "feed=%s outcome=%s version=%llu from=%llu source=%s metadata=%llu "
	    "delta=%llu full=%llu wire=%llu ms=%llu errors=%zu",
	    j->report->feed, outcome_word(j->report->outcome),
	    (unsigned long long)j->report->version, (unsigned long long)j->report->from,
	    log_q(j->report->source), (unsigned long long)j->report->bytes[BYTES_METADATA],
	    (unsigned long long)j->report->bytes[BYTES_DELTA],
	    (unsigned long long)j->report->bytes[BYTES_FULL], (unsigned long long)j->report->wire,
	    (unsigned long long)j->report->ms, j->report->error_count);
	catalog_free(&j->catalog);
	documents_free(&j->documents);
	tuf_close(j->tuf);
	j->tuf = NULL;
	objects_close(&j->objects);
}

void
job_end(struct job *j)
{
	downloader_free(j->downloader);
	j->downloader = NULL;
}
