#include "web.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 16384
#define CONNECT_SECONDS 15L
#define STALL_SECONDS 10L /* below STALL_BYTES a second for so long: given up */
#define STALL_BYTES 64L

struct web {
	CURL *easy;
};

struct transfer {
	enum err (*take)(void *ctx, const void *p, size_t n);
	void *ctx;
	enum err error;
};

static size_t
on_body(char *p, size_t size, size_t n, void *user)
{
	struct transfer *x = user;

	x->error = x->take(x->ctx, p, size * n);
	return x->error == OK ? size * n : CURL_WRITEFUNC_ERROR;
}

enum err
web_open(struct web **out, struct fault *f)
{
	struct web *w = calloc(1, sizeof(*w));

	*out = NULL;
	if (w == NULL)
		return ERR_NOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (w->easy = curl_easy_init()) == NULL) {
		free(w);
		return fault_set(f, ERR_NOMEM, "libcurl could not be started");
	}
	*out = w;
	return OK;
}

void
web_close(struct web *w)
{
	if (w == NULL)
		return;
	curl_easy_cleanup(w->easy);
	curl_global_cleanup();
	free(w);
}

static enum err
join(char url[URL_MAX], const char *base, const char *name)
{
	size_t n = strlen(base), m = strlen(name);

	while (n > 0 && base[n - 1] == '/')
		n--;
	if (n + 1 + m + 1 > URL_MAX)
		return ERR_TOOBIG;
	memcpy(url, base, n);
	url[n] = '/';
	memcpy(url + n + 1, name, m + 1);
	return OK;
}

static void
set_options(CURL *c, const char *url, struct transfer *x)
{
	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,ftp");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
}

static enum err
judge(CURL *c, CURLcode r, const struct transfer *x, const char *url, struct fault *f)
{
	long status = 0;

	if (x->error != OK)
		return fault_set(f, x->error, "%.200s: %s", url, err_text(x->error));
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (r == CURLE_REMOTE_FILE_NOT_FOUND ||
	    (r == CURLE_HTTP_RETURNED_ERROR && (status == 403 || status == 404 || status == 410)))
		return fault_set(f, ERR_NOTFOUND, "%.200s is not there (%ld)", url, status);
	if (r == CURLE_HTTP_RETURNED_ERROR)
		return fault_set(f, ERR_IO, "%.200s answered %ld", url, status);
	if (r == CURLE_OPERATION_TIMEDOUT)
		return fault_set(f, ERR_TIMEOUT, "%.200s: %s", url, curl_easy_strerror(r));
	if (r == CURLE_COULDNT_CONNECT || r == CURLE_COULDNT_RESOLVE_HOST)
		return fault_set(f, ERR_UNREACHABLE, "%.200s: %s", url, curl_easy_strerror(r));
	if (r != CURLE_OK)
		return fault_set(f, ERR_IO, "%.200s: %s", url, curl_easy_strerror(r));
	if (strncmp(url, "ftp:", 4) != 0 && status != 200)
		return fault_set(f, ERR_IO, "%.200s answered %ld instead of 200", url, status);
	return OK;
}

enum err
web_get(struct web *w, const char *base, const char *name,
    enum err (*take)(void *ctx, const void *p, size_t n), void *ctx, struct fault *f)
{
	struct transfer x = { take, ctx, OK };
	char url[URL_MAX];
	CURLcode r;

	if (join(url, base, name) != OK)
		return fault_set(f, ERR_TOOBIG, "the URL of %.60s... is too long", name);
	set_options(w->easy, url, &x);
	r = curl_easy_perform(w->easy);
	return judge(w->easy, r, &x, url, f);
}
