#include "ftp_conn.h"
#include "ftp_passive.h"
#include "listing.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A wish that waits for the disk carries its own parameters. */
struct wish_job {
	struct files_job job;
	enum ftp_want want;
	uint64_t rest;
	bool ascii;
};

static void
outcome_of(struct ftp_conn *c, enum ftp_outcome_kind kind)
{
	struct ftp_outcome o = { .kind = kind };

	ftp_conn_outcome(c, &o);
}

static void
drop_data(struct ftp_conn *c)
{
	struct ftp_data *d = c->data;

	c->data = NULL;
	if (d != NULL)
		ftp_data_abort(d, FTP_ABORTED);
}

/* A command that failed before its transfer began uses up the data connection. */
static void
fail(struct ftp_conn *c, enum ftp_outcome_kind kind)
{
	drop_data(c);
	outcome_of(c, kind);
}

static void
on_data(void *ctx, enum ftp_outcome_kind kind)
{
	struct ftp_conn *c = ctx;

	ftp_conn_enter(c);
	if (kind != FTP_STARTED) {
		c->data = NULL;
		c->server->stats.transfers += kind == FTP_DONE;
		c->server->stats.failed += kind != FTP_DONE;
	}
	outcome_of(c, kind);
	if (kind != FTP_STARTED)
		ftp_conn_flush(c);
	ftp_conn_leave(c);
}

static void
open_passive(struct ftp_conn *c, const struct ftp_wish *w)
{
	struct ftp_outcome o = { .kind = FTP_DONE };
	enum err e = OK;

	drop_data(c);
	if (!w->extended)
		e = passive_address(c->server->o, &c->local, &c->peer, o.address);
	if (e != OK) {
		outcome_of(c, FTP_WRONG_FAMILY);
		return;
	}
	e = ftp_data_listen(&c->data, &c->server->mover, &c->local, &c->peer, &o.port);
	if (e != OK) {
		log_warn("ftp.no_passive_port", "error=%s", err_word(e));
		o.kind = e == ERR_BUSY ? FTP_NO_PORT : FTP_BUSY;
	}
	ftp_conn_outcome(c, &o);
}

/* --- answers of the disk --- */

static void
facts(struct ftp_conn *c, const struct files_job *j, struct ftp_outcome *o)
{
	struct listing_entry entry = {
		.name = j->path, .is_folder = j->is_folder, .size = j->size, .mtime = j->mtime
	};
	const char *type = !j->is_folder ? "file" : "dir";
	struct buf text;
	enum err e;

	if (j->is_folder && strcmp(j->path, ftp_session_cwd(&c->session)) == 0)
		type = "cdir";
	buf_init(&text, 4 * FTP_PATH_MAX);
	e = listing_facts(&text, j->facts, type, &entry);
	if (e == OK)
		e = buf_printf(&text, "/%s", j->path);
	o->kind = e == OK ? FTP_DONE : FTP_BUSY;
	o->text = buf_text(&text);
	ftp_conn_outcome(c, o);
	buf_free(&text);
}

static void
looked(struct ftp_conn *c, struct wish_job *w)
{
	struct ftp_outcome o = { .kind = FTP_DONE, .size = w->job.size, .mtime = w->job.mtime };

	if (w->want == FTP_FACTS) {
		facts(c, &w->job, &o);
		return;
	}
	if (w->job.is_folder != (w->want == FTP_FOLDER))
		o.kind = FTP_ABSENT;
	ftp_conn_outcome(c, &o);
}

static void
listed(struct ftp_conn *c, struct wish_job *w)
{
	struct ftp_outcome o = { .kind = FTP_DONE, .text = buf_text(&w->job.text) };

	if (w->job.listing == LISTING_STAT)
		ftp_conn_outcome(c, &o);
	else if (c->data == NULL)
		outcome_of(c, FTP_NO_LISTENER);
	else
		ftp_data_send_text(c->data, &w->job.text, on_data, c);
}

static void
opened(struct ftp_conn *c, struct wish_job *w)
{
	if (c->data != NULL && w->rest <= w->job.size) {
		ftp_data_send_file(c->data, w->job.fd, w->rest, w->job.size, w->ascii, on_data, c);
		return;
	}
	(void)close(w->job.fd);
	fail(c, c->data == NULL ? FTP_NO_LISTENER : FTP_BAD_REST);
}

static enum ftp_outcome_kind
disk_failure(enum err e)
{
	switch (e) {
	case ERR_NOTFOUND:
		return FTP_ABSENT;
	case ERR_TOOBIG:
		return FTP_TOO_LONG;
	default:
		return FTP_BUSY;
	}
}

static void
answered(struct ftp_conn *c, struct wish_job *w)
{
	bool transfer =
	    w->want == FTP_SEND || (w->want == FTP_LIST && w->job.listing != LISTING_STAT);

	if (c->abort_wanted && transfer) {
		if (w->job.fd >= 0)
			(void)close(w->job.fd);
		fail(c, FTP_ABORTED);
		return;
	}
	if (w->job.e != OK && transfer)
		fail(c, disk_failure(w->job.e));
	else if (w->job.e != OK)
		outcome_of(c, disk_failure(w->job.e));
	else if (w->want == FTP_SEND)
		opened(c, w);
	else if (w->want == FTP_LIST)
		listed(c, w);
	else
		looked(c, w);
}

static void
job_done(struct files_job *job)
{
	struct wish_job *w = (struct wish_job *)job;
	struct ftp_conn *c = job->ctx;

	ftp_conn_enter(c);
	c->job = NULL;
	if (c->why == NULL)
		answered(c, w);
	else if (job->fd >= 0)
		(void)close(job->fd);
	files_job_clear(job);
	free(w);
	ftp_conn_leave(c);
}

static enum files_op
op_of(enum ftp_want want)
{
	return want == FTP_SEND ? FILES_OPEN : want == FTP_LIST ? FILES_LIST : FILES_LOOK;
}

static void
ask_disk(struct ftp_conn *c, const struct ftp_wish *w)
{
	struct wish_job *j = calloc(1, sizeof(*j));

	c->abort_wanted = false;
	if (j == NULL) {
		fail(c, FTP_BUSY);
		return;
	}
	j->want = w->want;
	j->rest = w->rest;
	j->ascii = w->ascii;
	j->job.op = op_of(w->want);
	j->job.listing = w->listing;
	j->job.facts = w->facts;
	j->job.done = job_done;
	j->job.ctx = c;
	if (w->want == FTP_LIST && w->listing == LISTING_NAMES && w->prefix[0] != '\0')
		j->job.prefix = strdup(w->prefix);
	c->job = &j->job;
	if (files_ask(c->server->files, c->server->loop, &j->job, w->path))
		job_done(&j->job);
}

/* --- uploads --- */

static enum ftp_outcome_kind
upload_refusal(enum err e)
{
	switch (e) {
	case ERR_DENIED:
		return FTP_QUOTA;
	case ERR_TOOBIG:
	case ERR_NOSPACE:
		return FTP_FULL;
	case ERR_INVAL:
		return FTP_BAD_REST;
	case ERR_CANCELED:
		return FTP_BROKEN;
	default:
		return FTP_DISK;
	}
}

static void
upload_opened(void *ctx, enum err e)
{
	struct ftp_conn *c = ctx;
	struct upload *u = c->upload;

	ftp_conn_enter(c);
	c->upload = NULL;
	if (e == OK && c->data != NULL && !c->abort_wanted) {
		ftp_data_receive(c->data, u, on_data, c);
	} else {
		upload_drop(u);
		fail(c, c->abort_wanted ? FTP_ABORTED
			: e != OK	? upload_refusal(e)
					: FTP_NO_LISTENER);
	}
	ftp_conn_leave(c);
}

static void
store(struct ftp_conn *c, const struct ftp_wish *w)
{
	struct upload_order o = { .peer = &c->peer,
		.name = path_base(w->path),
		.announced = w->announced,
		.rest = w->rest,
		.append = w->append };
	enum err e = ERR_DENIED;

	c->abort_wanted = false;
	if (c->server->box != NULL)
		e = upload_begin(&c->upload, c->server->box, &o, upload_opened, c);
	if (e != OK)
		fail(c, upload_refusal(e));
}

static void
have_asked(void *ctx, enum err e)
{
	struct ftp_conn *c = ctx;
	struct ftp_outcome o = { .kind = e == OK ? FTP_DONE : FTP_ABSENT };

	ftp_conn_enter(c);
	o.size = upload_have(c->upload);
	c->upload = NULL;
	ftp_conn_outcome(c, &o);
	ftp_conn_leave(c);
}

static void
ask_have(struct ftp_conn *c, const struct ftp_wish *w)
{
	if (c->server->box == NULL ||
	    upload_ask(&c->upload, c->server->box, path_base(w->path), have_asked, c) != OK)
		outcome_of(c, FTP_ABSENT);
}

void
ftp_wish_abort(struct ftp_conn *c)
{
	c->abort_wanted = true;
	if (c->data != NULL && ftp_data_busy(c->data))
		ftp_data_abort(c->data, FTP_ABORTED);
}

void
ftp_wish_carry_out(struct ftp_conn *c, const struct ftp_wish *w)
{
	bool needs_data = w->want == FTP_SEND || w->want == FTP_STORE ||
			  (w->want == FTP_LIST && w->listing != LISTING_STAT);

	if (needs_data && c->data == NULL)
		outcome_of(c, FTP_NO_LISTENER);
	else if (w->want == FTP_PASSIVE)
		open_passive(c, w);
	else if (w->want == FTP_ABORT)
		drop_data(c);
	else if (w->want == FTP_STORE)
		store(c, w);
	else if (w->want == FTP_HAVE)
		ask_have(c, w);
	else
		ask_disk(c, w);
}
