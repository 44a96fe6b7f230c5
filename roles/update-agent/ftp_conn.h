/* ftp_conn.h - one control connection: joins the session machine to its socket, its files and its
 * data connection. Internal to the FTP server. */
#ifndef ATALAIA_UA_FTP_CONN_H
#define ATALAIA_UA_FTP_CONN_H

#include "ftp_data.h"
#include "ftp_input.h"
#include "ftp_server.h"

#include "net/peers.h"

struct ftp_conn {
	struct ftp_server *server;
	struct ftp_conn *prev, *next;
	uv_tcp_t tcp;
	struct addr peer, local;
	struct ftp_session session;
	struct ftp_input input;
	struct buf queue; /* lines that came while one runs: 2 bytes of length, then the line */
	struct buf out;	  /* replies of this turn */
	struct ftp_data *data;		      /* passive listener or data connection; NULL: none */
	struct files_job *job;		      /* question to the disk under way */
	struct upload *upload;		      /* being opened, or asked about */
	const char *why;		      /* closing, and the reason */
	uint64_t born_ms, active_ms, line_ms; /* line_ms 0: no line is begun */
	uint64_t write_ms;		      /* since when replies wait for the client */
	unsigned depth; /* inside an entry point: replies go out at the end of it */
	bool counted, writing, reading, leaving, handle_closed, abort_wanted;
};

struct ftp_server {
	uv_loop_t *loop;
	const struct options *o;
	struct files *files;
	struct dropbox *box;
	struct peers *peers;
	struct ftp_mover mover;
	uv_tcp_t listeners[LISTEN_MAX];
	size_t listener_count;
	bool untaken[LISTEN_MAX]; /* a connection for which there was no memory waits at this one */
	uv_timer_t tick;
	bool tick_open, ticking, closing;
	uint64_t drain_until;
	unsigned handles; /* listeners and tick, not closed yet */
	struct ftp_conn *conns;
	struct ftp_stats stats;
	void (*closed)(void *ctx);
	void *ctx;
};

/* Takes one connection from the listener and greets or refuses it. False: no memory, and libuv
 * stops listening until it is taken later. */
bool ftp_conn_accept(struct ftp_server *s, uv_stream_t *listener);
void ftp_conn_tick(struct ftp_conn *c, uint64_t now);
/* Says 421 and the reason, then closes; a running transfer is cut. */
void ftp_conn_end(struct ftp_conn *c, const char *why);
bool ftp_conn_busy(const struct ftp_conn *c);
/* Called by the last connection's end. */
void ftp_server_check_closed(struct ftp_server *s);

/* ftp_wish.c: what a wish of the session needs from the outside. */
void ftp_wish_carry_out(struct ftp_conn *c, const struct ftp_wish *w);
void ftp_wish_abort(struct ftp_conn *c); /* ABOR came while a wish is open */
/* ftp_conn.c: around everything that comes from outside the connection. */
void ftp_conn_enter(struct ftp_conn *c);
void ftp_conn_leave(struct ftp_conn
	*c); /* runs queued lines, sends replies, frees what is idle; c may be gone after it */
void ftp_conn_outcome(struct ftp_conn *c, const struct ftp_outcome *o);
void ftp_conn_flush(struct ftp_conn *c); /* sends the replies so far, as leave does */
void ftp_conn_free_when_quiet(struct ftp_conn *c);

#endif
