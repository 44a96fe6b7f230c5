#include "ftp_reply.h"

#include <stdlib.h>

static const struct {
	enum ftp_outcome_kind kind;
	enum ftp_code code;
	const char *text;
} failures[] = {
	{ FTP_NO_LISTENER, R_NO_DATA, "Use EPSV or PASV first." },
	{ FTP_NO_DATA, R_NO_DATA, "No data connection came in time." },
	{ FTP_NO_PORT, R_NO_DATA, "No passive port is free, try later." },
	{ FTP_WRONG_FAMILY, R_NO_DATA, "PASV has no form for IPv6, use EPSV." },
	{ FTP_ABSENT, R_NO_FILE, "No such file or folder." },
	{ FTP_BAD_REST, R_BAD_REST, "The file ends before that position." },
	{ FTP_TOO_LONG, R_FILE_BUSY, "The listing is too long." },
	{ FTP_BROKEN, R_ABORTED, "The data connection broke." },
	{ FTP_ABORTED, R_ABORTED, "Transfer aborted." },
	{ FTP_SLOW, R_ABORTED, "The transfer was too slow." },
	{ FTP_DISK, R_LOCAL_ERROR, "The disk failed here." },
	{ FTP_QUOTA, R_QUOTA, "The quota for uploads is used up." },
	{ FTP_FULL, R_QUOTA, "The upload is too large for this drop box." },
	{ FTP_WRONG, R_LOCAL_ERROR, "Not the content that the name speaks of, begin again." },
	{ FTP_BUSY, R_LOCAL_ERROR, "Too busy, try later." },
};

static void
failed(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out)
{
	size_t i;

	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].kind == o->kind) {
			ftp_reply(s, out, failures[i].code, "%s", failures[i].text);
			return;
		}
	}
	s->broken = true;
}

static void
passive_ready(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out)
{
	if (s->extended) {
		ftp_reply(s, out, R_EXTENDED_PASSIVE, "Extended passive mode (|||%u|).", o->port);
		return;
	}
	ftp_reply(s, out, R_PASSIVE, "Passive mode (%u,%u,%u,%u,%u,%u).", o->address[0],
	    o->address[1], o->address[2], o->address[3], o->port >> 8, o->port & 255);
}

static void
folder_entered(struct ftp_session *s, struct buf *out)
{
	free(s->cwd);
	s->cwd = s->target;
	s->target = NULL;
	if (s->cwd != NULL && s->cwd[0] == '\0') {
		free(s->cwd);
		s->cwd = NULL;
	}
	ftp_reply(s, out, R_FILE_OK, "Folder changed.");
}

static void
stat_listed(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out)
{
	ftp_raw(s, out, "213-Status:\r\n%s", o->text != NULL ? o->text : "");
	ftp_reply(s, out, R_FILE_STATUS, "End");
}

static void
done(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out)
{
	char time[FTP_TIME_TEXT];

	switch (s->pending) {
	case FTP_PASSIVE:
		passive_ready(s, o, out);
		break;
	case FTP_FOLDER:
		folder_entered(s, out);
		break;
	case FTP_SIZE:
	case FTP_HAVE:
		ftp_reply(s, out, R_FILE_STATUS, "%llu", (unsigned long long)o->size);
		break;
	case FTP_TIME:
		ftp_time_text(time, o->mtime);
		ftp_reply(s, out, R_FILE_STATUS, "%s", time);
		break;
	case FTP_FACTS:
		ftp_raw(s, out, "250-Facts:\r\n %s\r\n", o->text != NULL ? o->text : "");
		ftp_reply(s, out, R_FILE_OK, "End");
		break;
	case FTP_LIST:
		if (s->listing == LISTING_STAT) {
			stat_listed(s, o, out);
			break;
		}
		/* fall through */
	default:
		ftp_reply(s, out, R_TRANSFER_DONE, "Transfer complete.");
	}
}

void
ftp_session_outcome(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out)
{
	if (o->kind == FTP_STARTED) {
		ftp_reply(s, out, R_DATA_OPENING, "Data connection is open.");
		return;
	}
	s->busy = false;
	if (o->kind == FTP_DONE)
		done(s, o, out);
	else
		failed(s, o, out);
	free(s->target);
	s->target = NULL;
	s->pending = FTP_NOTHING;
}
