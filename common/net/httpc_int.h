/* httpc_int.h - private to httpc*.c. One httpc: one curl multi, one timer, one poll handle for each
 * of curl's sockets. */
#ifndef ATALAIA_NET_HTTPC_INT_H
#define ATALAIA_NET_HTTPC_INT_H

#include "net/curl_verify.h"
#include "net/httpc.h"

struct httpc {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer, soon;
	struct httpc_socket *sockets;
	struct httpc_call *calls;
	struct curl_identity *identity; /* NULL: plain http only */
	char source[72];		/* local address of connections, "": the system's choice */
	size_t handles;
	unsigned inside; /* depth of curl calls: nothing is removed from the multi meanwhile */
	bool closing, ended;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

struct httpc_call {
	struct httpc_call *next, **link;
	struct httpc *c;
	CURL *easy;
	struct curl_slist *headers;
	struct curl_verify *verify;
	struct buf body;
	void *sent; /* copy of the request's body */
	size_t max_body;
	uint64_t got;
	bool stream, canceled, stopped, starved, too_big, finished, has_peer, wrong_peer;
	CURLcode code;
	char expect_name[PKI_NAME];
	struct pki_identity peer;
	bool (*data)(void *ctx, const uint8_t *p, size_t n);
	void (*done)(void *ctx, const struct httpc_response *r);
	void *ctx;
	char curl_text[CURL_ERROR_SIZE];
};

/* httpc_io.c: curl's sockets and timer on the loop. */
MUST_CHECK enum err io_open(struct httpc *c);
void io_close(struct httpc *c); /* after the multi is gone */
void io_add(
    struct httpc *c, CURL *easy); /* closes: poll handles stop before curl closes their socket */

/* httpc.c */
void httpc_progress(struct httpc *c);	 /* after every curl call: hands out what is finished */
void httpc_starve(struct httpc_call *k); /* no memory for its socket: ends with ERR_NOMEM */
void httpc_handle_gone(struct httpc *c);

#endif
