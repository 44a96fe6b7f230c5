/* transfer.c - gets signed files into the objects folder: resumed, verified, from one source after
 * the other. What a source sent wrong is reported and thrown away; what it cut is kept for the
 * next. */
#include "job.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH 32 /* files open at once */
#define TRICKLE 16384
#define STRIKES 3 /* a source that failed so often is not asked again in this run */

/* One file of a batch at one source. */
struct item {
	struct want *want;
	const struct entry *entry; /* want->first or want->entry */
	bool resumed;		   /* some of it came from an earlier run or another source */
};

struct batch {
	struct item items[BATCH];
	struct download downloads[BATCH];
	size_t n;
	size_t source;
	bool alternative; /* their compressed copies */
	bool last;	  /* what is cut now is not tried again here */
	bool again;	  /* answer: something may be tried again here */
};

static bool
ours(enum err e)
{
	return e == ERR_NOSPACE || e == ERR_IO || e == ERR_NOMEM || e == ERR_CANCELED;
}

static void
set_url(struct download *d, const char *base, const struct entry *e)
{
	const char *file = e->file;
	char hex[2 * SHA_LEN + 1];

	if (text_starts(base, FETCH_FILE_URL)) { /* a bundle has content by its hash */
		text_hex(hex, e->sha256, SHA_LEN);
		file = hex;
	}
	if (snprintf(d->url, sizeof d->url, "%s/targets/%s", base, file) >= (int)sizeof d->url)
		d->url[0] = '\0'; /* cannot be: names and bases are bounded; libcurl refuses it */
}

static enum err
open_item(struct job *j, struct batch *b, struct want *w, const struct entry *e, struct fault *f)
{
	struct item *it = &b->items[b->n];
	struct download *d = &b->downloads[b->n];
	enum err r;

	*it = (struct item){ w, e, false };
	memset(d, 0, sizeof *d);
	set_url(d, j->config->sources[b->source].url, e);
	d->limit = e->length;
	r = objects_part(&j->objects, e, &d->fd, &d->offset, f);
	if (r != OK)
		return r;
	it->resumed = d->offset != 0;
	b->n++;
	return OK;
}

static void
forget(struct job *j, const struct entry *e)
{
	char path[OBJECT_PATH];

	objects_path(&j->objects, "parts", e->sha256, path);
	(void)unlink(path);
}

/* The whole length is there: believe it or not. ERR_VERIFY: it was refused and removed. */
static enum err
verify_item(struct job *j, struct batch *b, struct item *it, struct fault *f)
{
	char path[OBJECT_PATH];
	struct tuf_failure why;
	enum err e;

	progress_phase(j->progress, PHASE_VERIFY, it->entry->path, NULL);
	objects_path(&j->objects, "parts", it->entry->sha256, path);
	e = objects_check(path, it->entry, &j->cancel, &why);
	if (e == OK) {
		e = objects_take(&j->objects, path, it->entry->sha256, f);
		if (e == OK)
			it->want->got = it->entry;
		return e;
	}
	if (e != ERR_VERIFY)
		return fault_set(f, e, "cannot read %s", path);
	forget(j, it->entry);
	if (it->resumed) { /* whose bytes were wrong cannot be known: once more, from zero */
		log_info("fetch.part",
		    "file=%s dropped=yes why=\"the resumed file is not what was signed\"",
		    log_q(it->entry->path));
		return ERR_AGAIN;
	}
	job_refuse_failure(j, b->source, &why);
	return ERR_VERIFY;
}

static void
count(struct job *j, const struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		j->report->bytes[b->items[i].want->kind] += b->downloads[i].received;
		j->report->wire += b->downloads[i].wire;
	}
}

static void
failed(struct job *j, struct batch *b, size_t i)
{
	const struct download *d = &b->downloads[i];
	const struct entry *e = b->items[i].entry;
	const char *rule = d->result == ERR_NOTFOUND ? "missing" : "fetch";

	b->items[i].want->given_up = true;
	if (d->result == ERR_TOOBIG) {
		rule = "length";
		forget(j, e);
	}
	if (d->result == ERR_UNREACHABLE || d->result == ERR_DENIED || d->result == ERR_AGAIN)
		j->strikes[b->source] = STRIKES;
	else if (d->result != ERR_NOTFOUND)
		j->strikes[b->source]++;
	/* A mirror need not have compressed copies: their absence is nothing to report. */
	if (d->result == ERR_NOTFOUND && e->kind == ENTRY_FULL)
		return;
	job_refuse(j, b->source, e->path, rule, d->result, d->text);
}

static enum err
run_downloads(struct job *j, struct batch *b, struct fault *f)
{
	struct download todo[BATCH];
	size_t at[BATCH], n = 0;
	enum err e;

	for (size_t i = 0; i < b->n; i++)
		if (b->downloads[i].offset < b->items[i].entry->length) {
			at[n] = i;
			todo[n++] = b->downloads[i];
		}
	e = n == 0 ? OK : downloader_run(j->downloader, todo, n);
	for (size_t k = 0; k < n; k++)
		b->downloads[at[k]] = todo[k];
	if (e != OK)
		return fault_set(
		    f, e, "%s", e == ERR_CANCELED ? "stopped on request" : err_text(e));
	return OK;
}

/* A cut that brought something, or a stall after real progress; a trickle is neither. */
static bool
worth_a_resume(const struct download *d)
{
	return (d->result == ERR_CLOSED && d->received != 0) ||
	       (d->result == ERR_TIMEOUT && d->received >= TRICKLE);
}

/* After the downloads of a batch: which are whole, which may be tried again here. */
static enum err
settle(struct job *j, struct batch *b, struct fault *f)
{
	for (size_t i = 0; i < b->n; i++) {
		struct download *d = &b->downloads[i];
		struct item *it = &b->items[i];
		enum err e = d->result;

		if (e == ERR_NOSPACE || e == ERR_IO || e == ERR_NOMEM)
			return fault_set(f, e, "cannot keep %s: %s", it->entry->path, d->text);
		it->resumed = it->resumed && !d->restarted;
		if (e == OK) {
			e = verify_item(j, b, it, f);
			if (ours(e))
				return e;
			b->again = b->again || e == ERR_AGAIN;
			j->proven[b->source] = j->proven[b->source] || e == OK;
			if (e == ERR_VERIFY) {
				it->want->given_up = true;
				j->strikes[b->source]++;
			}
		} else if (!b->last && worth_a_resume(d)) {
			b->again = true;
		} else {
			failed(j, b, i);
		}
	}
	return OK;
}

static void
close_all(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		(void)close(b->downloads[i].fd);
}

/* Opens, downloads and verifies up to BATCH wants. */
static enum err
run_batch(struct job *j, struct batch *b, struct want **wants, size_t n, struct fault *f)
{
	enum err e = OK;

	b->n = 0;
	for (size_t i = 0; e == OK && i < n; i++)
		e = open_item(
		    j, b, wants[i], b->alternative ? wants[i]->first : wants[i]->entry, f);
	if (e == OK) {
		progress_phase(j->progress, PHASE_DOWNLOAD, b->items[0].entry->path,
		    j->config->sources[b->source].name);
		e = run_downloads(j, b, f);
		count(j, b);
	}
	close_all(b);
	return e == OK ? settle(j, b, f) : e;
}

static bool
chosen_now(const struct want *w, bool alternative)
{
	return w->got == NULL && !w->given_up && (!alternative || w->first != NULL);
}

/* Everything that is still wanted in this stage, at one source, once. A source that has not proven
 * itself gets few files, so that a dead one costs one round of time-outs. */
static enum err
pass(struct job *j, struct batch *b, struct want *wants, size_t n, struct fault *f)
{
	struct want *chosen[BATCH];
	size_t k = 0;
	enum err e = OK;

	b->again = false;
	for (size_t i = 0; e == OK && i < n && j->strikes[b->source] < STRIKES; i++) {
		if (chosen_now(&wants[i], b->alternative))
			chosen[k++] = &wants[i];
		if (k != 0 &&
		    (i + 1 == n || k == (j->proven[b->source] ? BATCH : LIMIT_FETCH_PARALLEL))) {
			e = run_batch(j, b, chosen, k, f);
			k = 0;
		}
	}
	return e;
}

/* First the compressed copies where there are any, then the files themselves. */
static enum err
stage(struct job *j, size_t source, bool alternative, struct want *wants, size_t n, struct fault *f)
{
	struct batch b = { .source = source, .alternative = alternative, .again = true };
	enum err e = OK;

	for (size_t i = 0; i < n; i++)
		wants[i].given_up = false;
	for (unsigned a = 1; e == OK && b.again && a <= LIMIT_FETCH_ATTEMPTS; a++) {
		b.last = a == LIMIT_FETCH_ATTEMPTS;
		e = pass(j, &b, wants, n, f);
	}
	return e;
}

static bool
all_got(const struct want *wants, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (wants[i].got == NULL)
			return false;
	return true;
}

enum err
job_transfer(struct job *j, struct want *wants, size_t n, struct fault *f)
{
	enum err e = OK;

	j->batch_from = j->received;
	for (size_t i = 0; i < n; i++)
		j->batch_bytes +=
		    (wants[i].first != NULL ? wants[i].first : wants[i].entry)->length;
	for (size_t k = 0; e == OK && k < j->config->source_count && !all_got(wants, n); k++) {
		size_t source = (j->source + k) % j->config->source_count;

		e = stage(j, source, true, wants, n, f);
		if (e == OK)
			e = stage(j, source, false, wants, n, f);
	}
	j->batch_from = j->received;
	j->batch_bytes = 0;
	return e;
}
