/* sockets.h - the sockets that libcurl has open, so that a cancel from another thread can end even
 * a wait inside libcurl that curl_multi_wakeup does not reach (FTP's QUIT), and so that a rate
 * limit also bounds what the kernel takes from the line ahead of us. */
#ifndef ATALAIA_FETCH_SOCKETS_H
#define ATALAIA_FETCH_SOCKETS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockets;

struct sockets *sockets_new(size_t receive_buffer); /* 0: the kernel's choice. NULL on no memory */
void sockets_free(struct sockets *s);               /* after curl_multi_cleanup. NULL is fine */
/* Sets the open and close callbacks. `owner` stays valid and unchanged while easy lives; the
 * sockets of an easy handle may outlive it. */
struct sockets_owner {
	struct sockets *sockets;
	uint64_t id; /* one for each transfer */
};
bool sockets_watch(struct sockets_owner *owner, CURL *easy);
/* Ends waiting for input on the sockets that this transfer opened; what was written still leaves.
 */
void sockets_hush(struct sockets_owner *owner);
/* Any thread: shuts every open socket down, and every later one at birth. */
void sockets_shut(struct sockets *s);

#endif
