/* ftp_reply.h - reply codes by name and the one way to write a reply. Internal to the session. */
#ifndef ATALAIA_FTP_REPLY_H
#define ATALAIA_FTP_REPLY_H

#include "ftp_session.h"

enum ftp_code { /* RFC 959 section 4.2, RFC 2428, RFC 3659 */
	R_DATA_OPENING = 150,
	R_OK = 200,
	R_SUPERFLUOUS = 202,
	R_STATUS = 211,
	R_FILE_STATUS = 213,
	R_HELP = 214,
	R_SYSTEM = 215,
	R_GREETING = 220,
	R_GOODBYE = 221,
	R_TRANSFER_DONE = 226,
	R_PASSIVE = 227,
	R_EXTENDED_PASSIVE = 229,
	R_LOGGED_IN = 230,
	R_FILE_OK = 250,
	R_PATHNAME = 257,
	R_NEED_PASSWORD = 331,
	R_PENDING = 350,
	R_UNAVAILABLE = 421,
	R_NO_DATA = 425,
	R_ABORTED = 426,
	R_FILE_BUSY = 450,
	R_LOCAL_ERROR = 451,
	R_NO_SPACE = 452,
	R_SYNTAX = 500,
	R_BAD_ARGUMENT = 501,
	R_NOT_IMPLEMENTED = 502,
	R_BAD_SEQUENCE = 503,
	R_BAD_PARAMETER = 504,
	R_WRONG_PROTOCOL = 522,
	R_NOT_LOGGED_IN = 530,
	R_NO_FILE = 550,
	R_QUOTA = 552,
	R_BAD_NAME = 553,
	R_BAD_REST = 554,
};

void ftp_reply(struct ftp_session *s, struct buf *out, enum ftp_code code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Raw lines of a multi-line reply. */
void ftp_raw(struct ftp_session *s, struct buf *out, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "name" with quotes doubled, RFC 959 appendix II. */
void ftp_quoted(
    struct ftp_session *s, struct buf *out, enum ftp_code code, const char *path, const char *tail);
/* YYYYMMDDHHMMSS, RFC 3659 section 2.3. */
#define FTP_TIME_TEXT 24
void ftp_time_text(char out[FTP_TIME_TEXT], int64_t seconds);

/* One command on its way through the machine. */
struct ftp_call {
	struct ftp_session *s;
	const char *arg;
	size_t n;
	struct buf *out;
	struct ftp_wish *wish;
};

/* Verbs that name files; ftp_paths.c. */
void on_cwd(struct ftp_call *c);
void on_cdup(struct ftp_call *c);
void on_pwd(struct ftp_call *c);
void on_list(struct ftp_call *c);
void on_nlst(struct ftp_call *c);
void on_mlsd(struct ftp_call *c);
void on_mlst(struct ftp_call *c);
void on_size(struct ftp_call *c);
void on_mdtm(struct ftp_call *c);
void on_retr(struct ftp_call *c);
void on_stor(struct ftp_call *c);
void on_appe(struct ftp_call *c);
void on_stat(struct ftp_call *c);

#endif
