/* ftp_data_int.h - the inside of a data connection, shared by its life (ftp_data.c) and its bytes
 * (ftp_move.c). */
#ifndef ATALAIA_UA_FTP_DATA_INT_H
#define ATALAIA_UA_FTP_DATA_INT_H

#include "ftp_data.h"

#define RECEIVE_BYTES 65536

enum phase { LISTENING, CONNECTED, MOVING, ENDED };

struct ftp_data {
	struct ftp_mover *m;
	enum phase phase;
	struct addr peer;
	uv_poll_t listener_poll, sock_poll;
	unsigned handles; /* uv handles whose close callback is due */
	bool listener_polled, sock_polled;
	bool pinned; /* inside a call to the owner: do not free */
	bool same;   /* the data connection comes from the very peer */
	int listener, sock;
	int events; /* what sock_poll waits for */

	/* the transfer */
	ftp_data_cb cb; /* NULL: none was asked for */
	void *ctx;
	bool cut; /* end with a reset */
	int file;
	bool ascii, file_done;
	uint64_t offset, size, cached_to;
	struct buf text;
	size_t text_at;
	struct upload *upload;
	uint8_t *received; /* RECEIVE_BYTES while an upload runs */

	/* worker */
	uv_work_t work;
	bool working, waiting_cold;
	struct ftp_data *cold_next;
	enum err work_e;
	size_t work_moved;

	/* deadlines */
	uint64_t since; /* transfer asked, or start of the stall window */
	uint64_t moved, moved_mark;
};

/* ftp_data.c */
void ftp_data_end(struct ftp_data *d, enum ftp_outcome_kind kind); /* the one way out */
void ftp_data_want(struct ftp_data *d, int events); /* call again when the socket can */
void ftp_data_pause(struct ftp_data *d);	    /* while a worker has the socket */
void ftp_data_free_when_quiet(struct ftp_data *d);
/* ftp_move.c: as much as goes without waiting. */
void ftp_data_pump(struct ftp_data *d);
void ftp_data_take(struct ftp_data *d);

#endif
