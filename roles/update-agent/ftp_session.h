/* ftp_session.h - the FTP server as a pure machine (RFC 959, 1123, 2389, 2428, 2640, 3659): a line
 * goes in, replies and one wish come out; the connection carries the wish out and reports the
 * outcome, which gives the final reply. No sockets, no files, no clock. While a wish is open
 * (session->busy) no further line may be given; the connection keeps them. */
#ifndef ATALAIA_FTP_SESSION_H
#define ATALAIA_FTP_SESSION_H

#include "ftp_path.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ftp_state { /* bits, so that a verb can be legal in several */
	FTP_NEW = 1,
	FTP_USER = 2, /* USER given, PASS expected */
	FTP_READY = 4,
	FTP_GONE = 8, /* QUIT or too many failures: close when the replies are out */
};

enum ftp_fact { FACT_TYPE = 1, FACT_SIZE = 2, FACT_MODIFY = 4, FACT_PERM = 8, FACT_ALL = 15 };

enum ftp_want {
	FTP_NOTHING,
	FTP_PASSIVE, /* open a listener in place of an earlier one; extended: reply 229, else 227 */
	FTP_FOLDER,  /* is path a folder? */
	FTP_SIZE,
	FTP_TIME,
	FTP_FACTS, /* MLST */
	FTP_SEND,  /* path from offset rest */
	FTP_LIST,  /* path in the form `listing` */
	FTP_STORE, /* into the drop box under the wish name */
	FTP_HAVE,  /* how much of an upload with a ticket is in the drop box */
	FTP_ABORT, /* close the passive listener; nothing runs (see ftp_session_is_abort) */
	FTP_CLOSE,
};

enum ftp_listing { LISTING_LONG, LISTING_NAMES, LISTING_FACTS, LISTING_STAT };

struct ftp_wish {
	enum ftp_want want;
	enum ftp_listing listing;
	bool extended, ascii;
	bool append; /* FTP_STORE: go on where FTP_HAVE said, instead of at rest */
	uint64_t rest;
	uint64_t announced; /* FTP_STORE: a shorter upload is cut; 0: nothing was said */
	uint8_t facts;
	char path[FTP_PATH_MAX];
	char prefix[FTP_PATH_MAX]; /* LISTING_NAMES of a named folder: in front of each name */
};

enum ftp_outcome_kind {
	FTP_DONE,	  /* the wish was carried out; more in the members below */
	FTP_STARTED,	  /* data connection is there, bytes begin: 150. The wish stays open */
	FTP_NO_LISTENER,  /* no PASV or EPSV before */
	FTP_NO_DATA,	  /* nobody connected in time */
	FTP_NO_PORT,	  /* the passive range is exhausted */
	FTP_WRONG_FAMILY, /* PASV on IPv6 */
	FTP_ABSENT,	  /* no such file or folder, or not readable: one answer for all */
	FTP_BAD_REST,	  /* restart position beyond the end */
	FTP_TOO_LONG,	  /* listing does not fit */
	FTP_BROKEN,	  /* data connection failed or the client ended it early */
	FTP_ABORTED,	  /* by ABOR */
	FTP_SLOW,	  /* too few bytes in the time allowed */
	FTP_DISK,	  /* our disk failed */
	FTP_QUOTA,	  /* drop box: this sender may not store now */
	FTP_FULL,	  /* drop box: the file or the space is too large */
	FTP_WRONG,	  /* drop box: not the content of which the ticket speaks */
	FTP_BUSY,	  /* out of memory or descriptors: try later */
};

struct ftp_outcome {
	enum ftp_outcome_kind kind;
	uint8_t address[4]; /* FTP_PASSIVE, not extended */
	uint16_t port;
	uint64_t size;
	int64_t mtime;	  /* seconds since 1970 */
	const char *text; /* FTP_FACTS: "type=file;... name"; LISTING_STAT: lines */
};

struct ftp_session {
	enum ftp_state state;
	uint8_t facts;
	uint8_t failures;   /* bad logins */
	bool ipv6, dropbox; /* set at birth */
	bool anonymous;	    /* the USER given was a name we let in */
	bool image;	    /* TYPE I or L 8 */
	bool epsv_all;
	bool busy;   /* a wish is open */
	bool broken; /* memory ran out or replies piled up: close at once */
	enum ftp_want pending;
	enum ftp_listing listing;
	bool extended;
	uint64_t rest, announced; /* of the next transfer: REST, ALLO */
	char *cwd;		  /* NULL = root; owned */
	char *target;		  /* the path of an open FTP_FOLDER or FTP_FACTS wish; owned */
};

void ftp_session_init(struct ftp_session *s, bool ipv6, bool dropbox);
void ftp_session_free(struct ftp_session *s);
void ftp_session_greet(struct ftp_session *s, struct buf *out);
/* One line without its end. Appends replies to out; fills wish (FTP_NOTHING when all is said). */
void ftp_session_line(
    struct ftp_session *s, const char *line, size_t n, struct buf *out, struct ftp_wish *wish);
/* A line past the limit. */
void ftp_session_long(struct ftp_session *s, struct buf *out);
/* The outcome of the open wish. */
void ftp_session_outcome(struct ftp_session *s, const struct ftp_outcome *o, struct buf *out);
/* While a transfer runs: is this line ABOR (the transfer must stop now; the line itself stays in
 * the queue), or a STAT that is answered in between? */
bool ftp_session_is_abort(const char *line, size_t n);
bool ftp_session_is_stat(const char *line, size_t n);
void ftp_session_progress(struct ftp_session *s, uint64_t bytes, struct buf *out);
/* The server ends it: 421 with a reason. */
void ftp_session_farewell(struct buf *out, const char *reason);
const char *ftp_session_cwd(const struct ftp_session *s); /* "" = root */

#endif
