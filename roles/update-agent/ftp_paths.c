#include "ftp_reply.h"

#include "base/text.h"
#include "proto/ticket.h"

#include <stdlib.h>
#include <string.h>

static bool
resolve(struct ftp_call *c, const char *arg, size_t n)
{
	if (path_resolve(c->wish->path, ftp_session_cwd(c->s), arg, n) == OK)
		return true;
	ftp_reply(c->s, c->out, R_NO_FILE, "No such file or folder.");
	return false;
}

/* The client's option words to LIST and NLST ("-la") are ignored, names never are. */
static void
skip_options(struct ftp_call *c)
{
	while (c->n > 0 && c->arg[0] == '-') {
		while (c->n > 0 && c->arg[0] != ' ') {
			c->arg++;
			c->n--;
		}
		while (c->n > 0 && c->arg[0] == ' ') {
			c->arg++;
			c->n--;
		}
	}
}

static bool
keep_target(struct ftp_call *c)
{
	free(c->s->target);
	c->s->target = strdup(c->wish->path);
	if (c->s->target == NULL)
		c->s->broken = true;
	return c->s->target != NULL;
}

static bool
dropbox_answered(struct ftp_call *c)
{
	if (!path_is_dropbox(c->wish->path))
		return false;
	ftp_reply(c->s, c->out, R_NO_FILE, "No such file or folder.");
	return true;
}

void
on_cwd(struct ftp_call *c)
{
	if (!resolve(c, c->arg, c->n) || !keep_target(c))
		return;
	if (!path_is_dropbox(c->wish->path)) {
		c->wish->want = FTP_FOLDER;
	} else if (c->s->dropbox && strcmp(c->wish->path, FTP_DROPBOX) == 0) {
		free(c->s->cwd);
		c->s->cwd = c->s->target;
		c->s->target = NULL;
		ftp_reply(c->s, c->out, R_FILE_OK, "Folder changed.");
	} else {
		(void)dropbox_answered(c);
	}
}

void
on_cdup(struct ftp_call *c)
{
	c->arg = "..";
	c->n = 2;
	on_cwd(c);
}

void
on_pwd(struct ftp_call *c)
{
	ftp_quoted(c->s, c->out, R_PATHNAME, ftp_session_cwd(c->s), "is the current folder.");
}

/* RFC 1123 4.1.2.7: names of NLST can be given to RETR as they are. */
static void
name_prefix(struct ftp_call *c)
{
	char *p = c->wish->prefix;

	p[0] = '\0';
	if (c->n == 0 || c->n + 2 > FTP_PATH_MAX || text_eq(c->arg, c->n, "."))
		return;
	memcpy(p, c->arg, c->n);
	p[c->n] = '\0';
	if (p[c->n - 1] != '/')
		memcpy(p + c->n, "/", 2);
}

static void
listing(struct ftp_call *c, enum ftp_listing form)
{
	if (!resolve(c, c->arg, c->n))
		return;
	/* The drop box lists as empty; what is in it is nobody's business. */
	if (path_is_dropbox(c->wish->path) &&
	    !(c->s->dropbox && strcmp(c->wish->path, FTP_DROPBOX) == 0)) {
		(void)dropbox_answered(c);
		return;
	}
	c->s->rest = 0;
	c->wish->want = FTP_LIST;
	c->wish->listing = form;
	name_prefix(c);
	c->wish->facts = c->s->facts;
}

void
on_list(struct ftp_call *c)
{
	skip_options(c);
	listing(c, LISTING_LONG);
}

void
on_nlst(struct ftp_call *c)
{
	skip_options(c);
	listing(c, LISTING_NAMES);
}

void
on_mlsd(struct ftp_call *c)
{
	listing(c, LISTING_FACTS);
}

void
on_stat(struct ftp_call *c)
{
	if (c->n > 0) {
		skip_options(c);
		listing(c, LISTING_STAT);
		return;
	}
	ftp_raw(c->s, c->out, "211-Atalaia update agent: anonymous, type %s, no transfer.\r\n",
	    c->s->image ? "image" : "ASCII");
	ftp_reply(c->s, c->out, R_STATUS, "End");
}

void
ftp_session_progress(struct ftp_session *s, uint64_t bytes, struct buf *out)
{
	ftp_reply(
	    s, out, R_STATUS, "Transfer is running, %llu bytes so far.", (unsigned long long)bytes);
}

/* An upload that whoever knows its ticket may ask about and go on with. */
static bool
is_ticketed(const struct ftp_call *c)
{
	const char *base = path_base(c->wish->path);

	return c->s->dropbox && path_is_dropbox(c->wish->path) &&
	       base - c->wish->path == sizeof(FTP_DROPBOX) && ticket_in_name(base);
}

static void
facts_wish(struct ftp_call *c, enum ftp_want want)
{
	if (!resolve(c, c->arg, c->n))
		return;
	if (want == FTP_SIZE && is_ticketed(c)) {
		c->wish->want = FTP_HAVE;
		return;
	}
	if (dropbox_answered(c))
		return;
	if (want == FTP_FACTS && !keep_target(c))
		return;
	c->wish->want = want;
	c->wish->facts = c->s->facts;
}

void
on_mlst(struct ftp_call *c)
{
	facts_wish(c, FTP_FACTS);
}

/* In ASCII the size would be that after conversion (RFC 3659 section 4); nobody needs it. */
void
on_size(struct ftp_call *c)
{
	if (!c->s->image)
		ftp_reply(c->s, c->out, R_NO_FILE, "SIZE needs TYPE I.");
	else
		facts_wish(c, FTP_SIZE);
}

void
on_mdtm(struct ftp_call *c)
{
	facts_wish(c, FTP_TIME);
}

void
on_retr(struct ftp_call *c)
{
	uint64_t rest = c->s->rest;

	c->s->rest = 0;
	if (!resolve(c, c->arg, c->n) || dropbox_answered(c))
		return;
	c->wish->want = FTP_SEND;
	c->wish->rest = rest;
	c->wish->ascii = !c->s->image;
	if (rest > 0 && c->wish->ascii) {
		c->wish->want = FTP_NOTHING;
		ftp_reply(c->s, c->out, R_BAD_REST, "REST needs TYPE I.");
	}
}

/* A place and a name that may be used get the same answer whatever the drop box holds. */
void
on_stor(struct ftp_call *c)
{
	const char *base;
	uint64_t rest = c->s->rest, announced = c->s->announced;

	c->s->rest = c->s->announced = 0;
	if (!resolve(c, c->arg, c->n))
		return;
	c->wish->announced = announced;
	c->wish->rest = rest;
	base = path_base(c->wish->path);
	if (!c->s->dropbox)
		ftp_reply(c->s, c->out, R_NO_FILE, "Uploads are not taken here.");
	else if (!path_is_dropbox(c->wish->path) || base - c->wish->path != sizeof(FTP_DROPBOX))
		ftp_reply(c->s, c->out, R_BAD_NAME, "Uploads go to /" FTP_DROPBOX "/ only.");
	else if (rest > 0 && !is_ticketed(c))
		ftp_reply(c->s, c->out, R_BAD_REST, "Only an upload with a ticket goes on.");
	else
		c->wish->want = FTP_STORE;
}

/* For uploads with a ticket only: where they go on is known here. */
void
on_appe(struct ftp_call *c)
{
	if (c->s->state == FTP_READY && c->n > 0 &&
	    path_resolve(c->wish->path, ftp_session_cwd(c->s), c->arg, c->n) == OK &&
	    is_ticketed(c)) {
		c->s->rest = 0;
		on_stor(c);
		c->wish->append = true;
		return;
	}
	c->wish->path[0] = '\0';
	ftp_reply(c->s, c->out, R_NOT_IMPLEMENTED, "APPE is not offered here.");
}
