/* link.h - a session with clamd over its unix socket: descriptors go, verdicts come (FILDES or SCAN
 * inside IDSESSION, clamd(8)). clamd reads through the descriptor and needs no permission of its
 * own. Blocking, one thread; waits end early when *stop becomes true. */
#ifndef ATALAIA_SCAN_LINK_H
#define ATALAIA_SCAN_LINK_H

#include "base/buf.h"
#include "base/err.h"
#include "proto/clamd.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct link {
	int fd;		  /* -1: not connected */
	uint32_t next_id; /* clamd counts the commands of a session from 1 */
	struct buf in;
	const atomic_bool *stop;
};

void link_init(struct link *l, const atomic_bool *stop);
void link_close(struct link *l);
/* Connects and opens a session. ERR_UNREACHABLE. */
MUST_CHECK enum err link_open(struct link *l, const char *socket);
/* Connects without a session: for one command. */
MUST_CHECK enum err link_connect(struct link *l, const char *socket);
MUST_CHECK enum err link_command(struct link *l, const char *command, const char *path);
/* A reply with the path that it names, for one command. ERR_CLOSED: that was the last. */
MUST_CHECK enum err link_path_reply(
    struct link *l, unsigned ms, struct clamd_reply *out, char *path, size_t size);
/* As link_send, with a path that clamd opens by itself. */
MUST_CHECK enum err link_send_path(struct link *l, const char *path, uint32_t *id);
/* *id is what the reply will carry. ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELED: the session is over. */
MUST_CHECK enum err link_send(struct link *l, int file, uint32_t *id);
/* Waits for one reply. ERR_AGAIN: none within ms. ERR_CLOSED, ERR_PARSE: the session is over. */
MUST_CHECK enum err link_reply(struct link *l, unsigned ms, struct clamd_reply *out);

#endif
