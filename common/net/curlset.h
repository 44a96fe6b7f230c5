/* curlset.h - one place for what every libcurl handle of ours must have: protocols, no netrc, no
 * redirects, no proxy from the environment, no signals, time-outs. Used by httpc and by
 * atalaia-fetch. Bytes are counted by the caller's write callback: MAXFILESIZE does not stop a
 * running transfer. */
#ifndef ATALAIA_NET_CURLSET_H
#define ATALAIA_NET_CURLSET_H

#include "base/err.h"

#include <curl/curl.h>
#include <stdint.h>

struct curlset {
	const char *protocols; /* "http,https" or "ftp,http,https" */
	const char *proxy;     /* NULL or "": none, whatever the environment says */
	uint32_t connect_ms;   /* 0: 15 s */
	uint32_t total_ms;     /* 0: no limit */
	uint32_t stall_s; /* give up after so many seconds under stall_bytes a second; 0: never */
	uint32_t stall_bytes;
	uint64_t rate_limit;	 /* bytes a second received; 0: none */
	const char *unix_socket; /* NULL: TCP */
	const char *source; /* local address of the connection, NULL or "": the system's choice */
};
MUST_CHECK enum err curlset_global(void); /* curl_global_init once; call before any thread starts */
MUST_CHECK enum err curlset_apply(CURL *easy, const struct curlset *s);
/* What a CURLcode means for us: UNREACHABLE, TIMEOUT, NOTFOUND (78 only), AUTH, CLOSED, NOMEM,
 * CANCELED, else IO. */
enum err curlset_err(CURLcode code);

#endif
