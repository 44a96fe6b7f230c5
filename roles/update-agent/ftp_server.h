/* ftp_server.h - FTP on libuv: listeners, control connections, caps and deadlines. Loop thread. */
#ifndef ATALAIA_UA_FTP_SERVER_H
#define ATALAIA_UA_FTP_SERVER_H

#include "dropbox.h"
#include "files.h"
#include "options.h"

struct ftp_server;

struct ftp_stats {
	uint64_t accepted, refused, commands, transfers, failed, bytes_out, bytes_in, strangers;
	uint64_t timeouts;
	uint32_t sessions; /* now */
};

/* options, files and dropbox (may be NULL) are borrowed and must outlive the server. */
MUST_CHECK enum err ftp_server_new(struct ftp_server **out, uv_loop_t *loop,
    const struct options *o, struct files *files, struct dropbox *box, struct fault *f);
/* port 0: any; the real one comes back. May be called several times. */
MUST_CHECK enum err ftp_server_listen(
    struct ftp_server *, const char *host, uint16_t port, uint16_t *real, struct fault *f);
struct ftp_stats ftp_server_stats(const struct ftp_server *);
/* Stops listening; idle sessions end now, running transfers get drain_ms. closed is the last call
 * and the server is freed after it. */
void ftp_server_close(struct ftp_server *, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx);

#endif
