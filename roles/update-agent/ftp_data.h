/* ftp_data.h - one passive listener and the data connection that comes out of it, for one transfer.
 * Loop thread. The owner is told FTP_STARTED when bytes begin, then exactly one final outcome; from
 * then on the object closes and frees itself and the owner forgets it. */
#ifndef ATALAIA_UA_FTP_DATA_H
#define ATALAIA_UA_FTP_DATA_H

#include "dropbox.h"
#include "ftp_session.h"
#include "options.h"

#include <uv.h>

struct ftp_data;

/* What all transfers of one server share. Zero it, set loop and options. */
struct ftp_mover {
	uv_loop_t *loop;
	const struct options *options;
	unsigned cold_running;			 /* workers that wait for the disk */
	struct ftp_data *cold_first, *cold_last; /* transfers that wait for such a worker */
	uint64_t bytes_out, bytes_in, strangers;
	unsigned open;		       /* objects not freed yet */
	void (*all_closed)(void *ctx); /* called when open falls to 0; may be NULL */
	void *ctx;
};

typedef void (*ftp_data_cb)(void *ctx, enum ftp_outcome_kind kind);

/* Listens on a random free port of the range, on the address of the control connection. ERR_BUSY:
 * none is free. */
MUST_CHECK enum err ftp_data_listen(struct ftp_data **out, struct ftp_mover *m,
    const struct addr *local, const struct addr *peer, uint16_t *port);
/* One of these three; the outcome comes by cb, from within the call when everything fits in the
 * socket. */
void ftp_data_send_file(struct ftp_data *d, int fd, uint64_t offset, uint64_t size, bool ascii,
    ftp_data_cb cb, void *ctx); /* takes fd */
void ftp_data_send_text(
    struct ftp_data *d, struct buf *text, ftp_data_cb cb, void *ctx); /* takes the bytes */
void ftp_data_receive(
    struct ftp_data *d, struct upload *u, ftp_data_cb cb, void *ctx); /* takes u */
/* Ends it: a running transfer is cut with a reset and cb gets `kind` from within the call. */
void ftp_data_abort(struct ftp_data *d, enum ftp_outcome_kind kind);
void ftp_data_tick(struct ftp_data *d, uint64_t now_ms); /* deadlines; may give the outcome */
uint64_t ftp_data_moved(const struct ftp_data *d);
bool ftp_data_busy(const struct ftp_data *d); /* a transfer was asked for */

#endif
