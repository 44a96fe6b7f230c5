/* curlset.c - see curlset.h. */
#include "net/curlset.h"

#include <uv.h>

#define CONNECT_MS 15000

static uv_once_t once = UV_ONCE_INIT;
static CURLcode once_result;

static void
init_once(void)
{
	once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum err
curlset_global(void)
{
	uv_once(&once, init_once);
	return once_result == CURLE_OK ? OK : ERR_UNSUPPORTED;
}

/* The first failure sticks, so that the list below reads as a list. */
struct setter {
	CURL *easy;
	CURLcode code;
};

static void
set_long(struct setter *s, CURLoption o, long v)
{
	if (s->code == CURLE_OK)
		s->code = curl_easy_setopt(s->easy, o, v);
}

static void
set_text(struct setter *s, CURLoption o, const char *v)
{
	if (s->code == CURLE_OK)
		s->code = curl_easy_setopt(s->easy, o, v);
}

enum err
curlset_apply(CURL *easy, const struct curlset *c)
{
	struct setter s = { easy, CURLE_OK };

	set_text(&s, CURLOPT_PROTOCOLS_STR, c->protocols);
	set_text(&s, CURLOPT_REDIR_PROTOCOLS_STR, c->protocols);
	set_long(&s, CURLOPT_FOLLOWLOCATION, 0L);
	set_long(&s, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	set_long(&s, CURLOPT_NOSIGNAL, 1L);
	set_long(&s, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Otherwise giving up a request whose name is being looked up waits for the look-up:
	 * seconds in which the loop stands still. */
	set_long(&s, CURLOPT_QUICK_EXIT, 1L);
#endif
	set_text(&s, CURLOPT_USERAGENT, "atalaia/" ATALAIA_VERSION);
	if (c->source != NULL && c->source[0] != '\0')
		set_text(&s, CURLOPT_INTERFACE, c->source);
	set_text(&s, CURLOPT_PROXY,
	    c->proxy != NULL ? c->proxy : ""); /* "" also silences the environment's proxies */
	set_long(
	    &s, CURLOPT_CONNECTTIMEOUT_MS, c->connect_ms != 0 ? (long)c->connect_ms : CONNECT_MS);
	set_long(&s, CURLOPT_TIMEOUT_MS, (long)c->total_ms);
	set_long(&s, CURLOPT_LOW_SPEED_TIME, (long)c->stall_s);
	set_long(&s, CURLOPT_LOW_SPEED_LIMIT,
	    c->stall_s != 0 ? (long)(c->stall_bytes != 0 ? c->stall_bytes : 1) : 0L);
	if (s.code == CURLE_OK)
		s.code =
		    curl_easy_setopt(easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)c->rate_limit);
	if (c->unix_socket != NULL)
		set_text(&s, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
	return s.code == CURLE_OK ? OK : curlset_err(s.code);
}

enum err
curlset_err(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return OK;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		return ERR_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_REMOTE_FILE_NOT_FOUND:
		return ERR_NOTFOUND;
	case CURLE_REMOTE_ACCESS_DENIED:
	case CURLE_LOGIN_DENIED:
		return ERR_DENIED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CONNECT_ERROR:
		return ERR_AUTH;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return ERR_CLOSED;
	case CURLE_ABORTED_BY_CALLBACK:
	case CURLE_WRITE_ERROR:
		return ERR_CANCELED;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNKNOWN_OPTION:
	case CURLE_NOT_BUILT_IN:
		return ERR_INVAL;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_TOOBIG;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
		return ERR_PARSE;
	default:
		return ERR_IO;
	}
}
