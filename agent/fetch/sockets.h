/* sockets.h - the sockets that libcurl has open, so that a cancel from another thread can end even
 * a wait inside libcurl that curl_multi_wakeup does not reach (FTP's QUIT), and so that a rate
 * limit also bounds what the kernel takes from the line ahead of us. */
#ifndef ATALAIA_FETCH_SOCKETS_H
#define ATALAIA_FETCH_SOCKETS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

struct sockets;

struct sockets *sockets_new(size_t receive_buffer); /* 0: the kernel's choice. NULL on no memory */
void sockets_free(struct sockets *s);               /* after curl_multi_cleanup. NULL is fine */
/* Sets the open and close callbacks; the sockets of one easy handle may outlive it. */
bool sockets_watch(struct sockets *s, CURL *easy);
/* Any thread: shuts every open socket down, and every later one at birth. */
void sockets_shut(struct sockets *s);

#endif
