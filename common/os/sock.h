/* sock.h - raw non-blocking TCP sockets for data connections, where libuv's streams cannot use
 * sendfile. Loop thread, except sock_send_file, which may run in a worker as long as nobody else
 * uses the socket meanwhile. Every descriptor is O_CLOEXEC and the caller's to close. */
#ifndef ATALAIA_OS_SOCK_H
#define ATALAIA_OS_SOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Listens on exactly this address and port (0: any). ERR_BUSY: the port is taken. */
MUST_CHECK enum err sock_listen(const struct sockaddr *sa, socklen_t len, int backlog, int *fd);
MUST_CHECK enum err sock_port(int fd, uint16_t *port);
/* ERR_AGAIN: nobody is waiting. */
MUST_CHECK enum err sock_accept(int listener, int *fd, struct sockaddr_storage *peer);
void sock_close(int fd); /* -1 is fine */
void sock_abort(
    int fd); /* closes with a reset, so that the peer cannot take a cut transfer for a whole one */
MUST_CHECK enum err sock_inline_urgent(
    int fd); /* urgent bytes stay in the stream: Telnet's Synch */

/* *moved bytes went; ERR_AGAIN: none can go now; ERR_CLOSED: the peer is gone. */
MUST_CHECK enum err sock_send(int fd, const void *p, size_t n, size_t *moved);
/* OK with *moved == 0 is the end. */
MUST_CHECK enum err sock_recv(int fd, void *p, size_t n, size_t *moved);
/* The end of a stream: more does not follow, but the close does. The kernel waits for it, so that
 * the last bytes and the end are one packet. Close at once when all went. */
MUST_CHECK enum err sock_send_last(int fd, const void *p, size_t n, size_t *moved);
/* Reads exactly n bytes at offset when all of them are in memory; else ERR_AGAIN: never waits for
 * the disk. */
MUST_CHECK enum err sock_read_memory(int file, uint64_t offset, void *p, size_t n);
/* Sends up to n bytes of `file` from offset without copying them through this process. OK with
 * *moved == 0: the file ends there. ERR_AGAIN, ERR_CLOSED as above, ERR_IO: the disk. Blocks on the
 * disk when the bytes are not in memory. */
MUST_CHECK enum err sock_send_file(int fd, int file, uint64_t offset, size_t n, size_t *moved);
/* True only when the kernel says that the whole range is in memory, so that sock_send_file cannot
 * block. Linux 6.5; false on older ones. */
bool sock_file_in_memory(int file, uint64_t offset, size_t n);
uint64_t sock_unsent(int fd); /* bytes the kernel holds that the peer has not acknowledged */

#endif
