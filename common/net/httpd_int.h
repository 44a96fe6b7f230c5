/* httpd_int.h - private to httpd*.c: what server, connections, requests and answers know of each
 * other. Life: a connection is freed in its handle's close callback only; its request dies with it
 * or when the answer is out. Nothing a handler can call frees a request: ends are carried out from
 * the parse loop or from the server's `later` list. */
#ifndef ATALAIA_NET_HTTPD_INT_H
#define ATALAIA_NET_HTTPD_INT_H

#include "base/limits.h"
#include "net/http_parse.h"
#include "net/httpd.h"
#include "net/peers.h"

#define HTTP_LOW_WATER                                                                             \
	65536 /* a source is asked for more when less than this waits for the socket */
#define HTTP_MIN_MOVE                                                                              \
	4096 /* bytes that must move within body_ms or write_ms: slower than any line we know */
#define HTTP_LINGER_MS                                                                             \
	2000 /* after a refusal: time for the client to read it before its unread bytes reset the  \
		connection */
#define HTTP_IN_MAX                                                                                \
	(LIMIT_HTTP_HEAD + 2 * 65536) /* unparsed bytes of one connection: the read under way when \
					 reading stopped still fits */
#define HTTP_PARAMS 4

enum http_phase {
	PH_HEAD,
	PH_IDLE,
	PH_BODY,
	PH_WAIT,
	PH_DRAIN /* last bytes out, then close */,
	PH_LINGER
};

struct http_listener {
	struct http_listener *next;
	struct httpd *d;
	union {
		uv_handle_t any;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	char *path;  /* unix socket, removed at close */
	bool missed; /* announced a connection while the spare was closing */
};

struct httpd {
	uint32_t admitted; /* connections that were not turned away and are not closing */
	uv_loop_t *loop;
	struct httpd_options o;
	struct tls_config *tls;
	struct http_listener *listeners;
	struct http_conn *conns, *later;
	struct peers *peers, *handshakes;
	uv_timer_t tick, soon;
	uint32_t tick_ms;
	union {
		uv_handle_t any;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} spare; /* takes a connection, to close it, when there is no memory for a real one */
	bool spare_used;
	size_t handles; /* listeners, timers, connections and file jobs that still have to go */
	bool closing;
	uint64_t drain_until;
	void (*closed)(void *ctx);
	void *closed_ctx;
	struct httpd_stats stats;
	char read_room[65536]; /* one read at a time in a loop: all connections share it */
};

struct http_conn {
	struct http_conn *next, **link; /* the server's list */
	struct http_conn *later_next;
	struct httpd *d;
	union {
		uv_handle_t any;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	struct addr peer;
	struct tls *tls;
	struct http_parse *parse;
	struct http_req *req;
	struct buf in;	 /* bytes that came while they could not be parsed */
	const char *why; /* closing, and the reason */
	enum http_phase phase;
	bool reading, is_later, counted, admitted, unread;
	uint64_t due, due_mark; /* deadline of the phase; what had moved when it was set */
	uint64_t write_due, write_mark;
	uint64_t bytes_in, submitted, file_bytes;
};

enum http_state { RQ_HEAD, RQ_BODY, RQ_PENDING, RQ_STREAM, RQ_FILE, RQ_DONE };

struct http_req {
	struct http_conn *c;
	struct http_head *head;
	const struct http_route *route;
	enum http_state state;
	bool body_done, body_paused, may_wait, no_body /* HEAD, 204, 304 */, chunked, keep,
	    event_stream, cut;
	bool proceed_open; /* the source owes a write */
	bool told;	   /* the handler makes an event of the refusal */
	bool owed;	   /* the handler has the request and has not answered: cancel if it ends */
	char *params_text;
	const char *params[HTTP_PARAMS];
	struct buf body, extra;
	uint64_t body_total, left; /* left: bytes of a stream with a known length */
	void *data;
	void (*cancel)(struct http_req *, void *);
	void *cancel_ctx;
	void (*on_body)(struct http_req *, const uint8_t *, size_t, bool, void *);
	void *on_body_ctx;
	struct http_source source;
	void *source_ctx;
	struct http_file *file;
};

/* httpd.c */
void httpd_handle_gone(struct httpd *d); /* one of d->handles; frees the server after the last */
void httpd_later(struct http_conn *c);	 /* conn_turn from the loop, soon */
void httpd_forget_later(struct http_conn *c);
void httpd_start_tick(struct httpd *d);

/* httpd_accept.c */
void conn_accept(struct http_listener *l);

/* httpd_conn.c */
void conn_close(struct http_conn *c, const char *why); /* the one way out */
void conn_turn(struct http_conn *c);
void conn_tick(struct http_conn *c, uint64_t now_ms);
void conn_phase(struct http_conn *c, enum http_phase phase);
void conn_read(struct http_conn *c, bool on);

/* httpd_out.c */
void conn_send(struct http_conn *c, const uv_buf_t *bufs,
    unsigned n); /* copies what the kernel does not take at once */
size_t conn_queue(const struct http_conn *c);
void conn_flush_tls(struct http_conn *c);
void conn_finish(struct http_conn *c,
    bool unread); /* close after what is queued is out; unread: the client is still sending */
void conn_drained(struct http_conn *c, bool unread);

/* httpd_req.c */
struct http_req *req_new(
    struct http_conn *c, struct http_head *head); /* takes head, also on failure */
void req_free(struct http_req *r);		  /* runs cancel or stop */
bool req_route(struct http_req *r);		  /* false: answered already */
void req_run(struct http_req *r);

/* httpd_reply.c */
void req_bad(
    struct http_conn *c, int status, const char *reason); /* no request yet: answer and close */
void req_proceed(struct http_req *r);			  /* asks the source when there is room */
MUST_CHECK enum err req_send_head(
    struct http_req *r, int status, const char *type, uint64_t length);
void req_done(struct http_req *r); /* the answer is queued whole */

/* httpd_refuse.c */
void refuse_conn(struct http_conn *c, const char *code, const char *why); /* before any request */
void refuse_req(const struct http_req *r, int status, const char *code, const char *why);
void refuse_head(struct http_conn *c, int status, const char *code, const char *why);

/* httpd_file.c */
void file_drop(struct http_file *f); /* the connection goes; the job ends by itself */
void file_turn(struct http_req *r);

#endif
