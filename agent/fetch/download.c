/* download.c - see download.h. curl_multi_perform and curl_multi_poll in the caller's thread. */
#include "download.h"

#include "config.h"
#include "sockets.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "net/curlset.h"
#include "os/file.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 500	    /* upper bound of one wait; cancel wakes it at once */
#define FTP_SETUP_MS 5	    /* the same while an FTP transfer has not begun */
#define TOTAL_BASE_MS 60000 /* every transfer has this, and a second per SLOWEST bytes on top */
#define SLOWEST 1000
#define TOTAL_MAX_MS 604800000ull

struct slot {
	struct downloader *owner;
	struct download *item; /* NULL: free */
	CURL *easy;
	struct curl_slist *before; /* uploads: commands ahead of STOR */
	bool paused, http, checked;
	enum err own; /* why our callback ended the transfer, OK when it did not */
	char error[CURL_ERROR_SIZE];
	struct sockets_owner socket_owner;
};

struct downloader {
	struct downloader_options options;
	CURLM *multi;
	atomic_bool canceled;
	struct rate rate;
	struct sockets *sockets;
	struct slot slots[LIMIT_FETCH_PARALLEL];
	unsigned turn; /* whose paused transfer is let go first */
	uint64_t total, transfers;
};

enum err
downloader_new(struct downloader **out, const struct downloader_options *o)
{
	struct downloader *d = calloc(1, sizeof *d);

	*out = NULL;
	if (d == NULL)
		return ERR_NOMEM;
	d->options = *o;
	atomic_init(&d->canceled, false);
	rate_init(&d->rate, o->rate_limit, clock_mono_ms());
	d->sockets = sockets_new(o->rate_limit == 0 ? 0 : rate_piece(&d->rate) * 2);
	d->multi = curl_multi_init();
	if (d->multi == NULL || d->sockets == NULL) {
		downloader_free(d);
		return ERR_NOMEM;
	}
	*out = d;
	return OK;
}

void
downloader_free(struct downloader *d)
{
	if (d == NULL)
		return;
	if (d->multi != NULL)
		(void)curl_multi_cleanup(d->multi);
	sockets_free(d->sockets);
	free(d);
}

void
downloader_cancel(struct downloader *d)
{
	atomic_store(&d->canceled, true);
	/* libcurl waits for the answer to QUIT without a way to wake it. */
	sockets_shut(d->sockets);
	(void)curl_multi_wakeup(d->multi);
}

/* Only 200 and 206 carry the file; a redirect's or a portal's page must not be taken for it. */
static bool
body_wanted(struct slot *s)
{
	if (!s->http || s->checked)
		return true;
	s->checked = true;
	(void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->item->code);
	return s->item->code == 200 || s->item->code == 206;
}

static enum err
store(struct download *it, const char *p, size_t n)
{
	enum err e;

	if (n > it->limit || it->offset + it->received > it->limit - n)
		return ERR_TOOBIG;
	if (it->buf != NULL)
		e = buf_append(it->buf, p, n);
	else
		e = file_write_all(it->fd, p, n);
	if (e == OK)
		it->received += n;
	return e;
}

static size_t
on_write(char *p, size_t size, size_t count, void *arg)
{
	struct slot *s = arg;
	struct downloader *d = s->owner;
	size_t n = size * count;

	if (atomic_load(&d->canceled)) {
		s->own = ERR_CANCELED;
		return 0;
	}
	if (!body_wanted(s)) {
		s->own = ERR_UNSUPPORTED;
		return 0;
	}
	if (!rate_open(&d->rate, clock_mono_ms())) {
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	rate_take(&d->rate, n);
	d->total += n;
	s->own = store(s->item, p, n);
	if (d->options.progress != NULL)
		d->options.progress(d->options.arg, d->total);
	return s->own == OK ? n : 0;
}

/* Uploads: the same bucket as downloads, so that a branch's line sees one rate. */
static size_t
on_read(char *p, size_t size, size_t count, void *arg)
{
	struct slot *s = arg;
	struct downloader *d = s->owner;
	size_t max = size * count, piece = rate_piece(&d->rate);
	ssize_t n;

	if (atomic_load(&d->canceled)) {
		s->own = ERR_CANCELED;
		return CURL_READFUNC_ABORT;
	}
	if (!rate_open(&d->rate, clock_mono_ms())) {
		s->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	n = read(s->item->fd, p, max < piece ? max : piece);
	if (n < 0) {
		s->own = ERR_IO;
		return CURL_READFUNC_ABORT;
	}
	rate_take(&d->rate, (size_t)n);
	d->total += (size_t)n;
	s->item->received += (size_t)n;
	if (d->options.progress != NULL)
		d->options.progress(d->options.arg, d->total);
	return (size_t)n;
}

/* libcurl has heard how much the server has. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	const struct slot *s = arg;

	return lseek(s->item->fd, (off_t)offset, origin) >= 0 ? CURL_SEEKFUNC_OK
							      : CURL_SEEKFUNC_FAIL;
}

/* Counts what passes on the connections: content, headers, FTP commands and replies. And when QUIT
 * is sent, the answer is not waited for: libcurl would block all transfers until it comes, a round
 * trip at best and CURLOPT_SERVER_RESPONSE_TIMEOUT at worst. */
static int
on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *arg)
{
	struct slot *s = arg;

	(void)easy;
	if (type == CURLINFO_HEADER_OUT && !s->http && n >= 4 && memcmp(p, "QUIT", 4) == 0)
		sockets_hush(&s->socket_owner);
	if (s->item != NULL && (type == CURLINFO_DATA_IN || type == CURLINFO_HEADER_IN ||
				   type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT))
		s->item->wire += n;
	return 0;
}

static uint64_t
total_ms(const struct downloader *d, const struct download *it)
{
	uint64_t slowest = SLOWEST, ms;

	if (d->rate.per_s != 0 && d->rate.per_s / LIMIT_FETCH_PARALLEL / 2 < slowest)
		slowest = d->rate.per_s / LIMIT_FETCH_PARALLEL / 2 + 1;
	ms = TOTAL_BASE_MS + (it->limit - it->offset) / slowest * 1000;
	return ms > TOTAL_MAX_MS ? TOTAL_MAX_MS : ms;
}

/* As libcurl's options are: numbers are long, offsets curl_off_t. */
static CURLcode
set_options(struct slot *s, long reply_s)
{
	const struct download *it = s->item;
	CURL *c = s->easy;
	CURLcode r = curl_easy_setopt(c, CURLOPT_URL, it->url);

#define SET(option, value)                                                                         \
	if (r == CURLE_OK)                                                                         \
	r = curl_easy_setopt(c, option, value)
	SET(CURLOPT_ERRORBUFFER, s->error);
	SET(CURLOPT_PRIVATE, (char *)s);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, s);
	SET(CURLOPT_DEBUGFUNCTION, on_debug);
	SET(CURLOPT_DEBUGDATA, s);
	SET(CURLOPT_VERBOSE, 1L);
	SET(CURLOPT_FAILONERROR, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* a name server that does not answer must not hold a cancel */
	SET(CURLOPT_BUFFERSIZE, (long)rate_piece(&s->owner->rate));
	SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, reply_s);
	SET(CURLOPT_FTP_FILEMETHOD, (long)CURLFTPMETHOD_NOCWD); /* no round trip a folder */
	SET(CURLOPT_FTP_SKIP_PASV_IP, 1L); /* the address in a 227 is a stranger's word */
	SET(CURLOPT_FORBID_REUSE, s->http ? 0L : 1L); /* agent/fetch/DESIGN.md, "FTP connections" */
	SET(CURLOPT_RESUME_FROM_LARGE, it->resume ? -1 : (curl_off_t)it->offset);
	if (it->upload) {
		SET(CURLOPT_PREQUOTE, s->before);
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, s);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, s);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)it->limit);
	}
#undef SET
	return r;
}

/* A connection that dies looks like the end of the file to an FTP server: ours compares with what
 * ALLO said. The star: a server that does not know ALLO is fine. */
static enum err
announce(struct slot *s)
{
	char text[40];

	if (!s->item->upload)
		return OK;
	(void)snprintf(text, sizeof text, "*ALLO %llu", (unsigned long long)s->item->limit);
	s->before = curl_slist_append(NULL, text);
	return s->before != NULL ? OK : ERR_NOMEM;
}

static enum err
setup(struct slot *s)
{
	struct downloader *d = s->owner;
	uint64_t stall_s = d->options.stall_ms < 1000 ? 1 : d->options.stall_ms / 1000;
	uint64_t connect_ms = d->options.stall_ms < LIMIT_FETCH_CONNECT_MS ? d->options.stall_ms
									   : LIMIT_FETCH_CONNECT_MS;
	struct curlset set = { .protocols = "ftp,http,https",
		.proxy = d->options.proxy,
		.connect_ms = (uint32_t)connect_ms,
		.total_ms = (uint32_t)total_ms(d, s->item),
		.stall_s = (uint32_t)stall_s,
		.stall_bytes = LIMIT_FETCH_SLOW };
	enum err e = curlset_apply(s->easy, &set);

	if (e == OK)
		e = announce(s);
	if (e == OK && (set_options(s, (long)(stall_s < 20 ? stall_s : 20)) != CURLE_OK ||
			   !sockets_watch(&s->socket_owner, s->easy)))
		e = ERR_NOMEM;
	return e;
}

static void
slot_free(struct slot *s)
{
	if (s->easy != NULL) {
		(void)curl_multi_remove_handle(s->owner->multi, s->easy);
		curl_easy_cleanup(s->easy);
	}
	curl_slist_free_all(s->before);
	s->before = NULL;
	s->easy = NULL;
	s->item = NULL;
}

/* A file is written from `offset` on; what lies behind is not ours. */
static enum err
rewind_file(const struct download *it)
{
	if (it->buf != NULL)
		return OK;
	if (it->upload)
		return lseek(it->fd, 0, SEEK_SET) == 0 ? OK : ERR_IO;
	if (ftruncate(it->fd, (off_t)it->offset) != 0 ||
	    lseek(it->fd, (off_t)it->offset, SEEK_SET) < 0)
		return ERR_IO;
	return OK;
}

static enum err
start(struct downloader *d, struct slot *s, struct download *it)
{
	enum err e = rewind_file(it);

	memset(s->error, 0, sizeof s->error);
	s->owner = d;
	s->item = it;
	s->own = OK;
	s->socket_owner.sockets = d->sockets;
	s->socket_owner.id = ++d->transfers;
	s->paused = s->checked = false;
	s->http = !text_starts(it->url, "ftp:");
	s->easy = e == OK ? curl_easy_init() : NULL;
	it->received = 0;
	it->code = 0;
	it->text[0] = '\0'; /* of a try that began in the middle */
	if (e == OK && s->easy == NULL)
		e = ERR_NOMEM;
	if (e == OK)
		e = setup(s);
	if (e == OK && curl_multi_add_handle(d->multi, s->easy) != CURLM_OK)
		e = ERR_NOMEM;
	if (e != OK) {
		it->result = e;
		slot_free(s);
	}
	return e;
}

/* HTTP: absent is 404, 410 and 403 alone; "later" is 429 and 5xx. */
static enum err
http_err(long code)
{
	if (code == 404 || code == 410 || code == 403)
		return ERR_NOTFOUND;
	if (code == 401 || code == 407)
		return ERR_DENIED;
	if (code == 429 || code >= 500)
		return ERR_AGAIN;
	return ERR_UNSUPPORTED;
}

/* An ERR_IO that libcurl saw is the server's, and must not be taken for our disk's. */
static enum err
remote_err(enum err e, long ftp_code)
{
	if (e != ERR_IO)
		return e;
	return ftp_code >= 400 && ftp_code < 500 ? ERR_AGAIN : ERR_PARSE;
}

static enum err
judge(struct slot *s, CURLcode c)
{
	struct download *it = s->item;

	(void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &it->code);
	if (atomic_load(&s->owner->canceled))
		return ERR_CANCELED;
	if (s->own != OK)
		return s->own;
	if (s->http && (c == CURLE_HTTP_RETURNED_ERROR ||
			   (c == CURLE_OK && it->code != 200 && it->code != 206)))
		return http_err(it->code);
	return c == CURLE_OK ? OK : remote_err(curlset_err(c), it->code);
}

static bool
cannot_resume(const struct slot *s, CURLcode c)
{
	return s->item->offset != 0 &&
	       (c == CURLE_RANGE_ERROR || c == CURLE_BAD_DOWNLOAD_RESUME ||
		   c == CURLE_FTP_COULDNT_USE_REST || (s->http && s->item->code == 416));
}

static void
explain(struct slot *s, CURLcode c)
{
	struct download *it = s->item;
	const char *why = s->error[0] != '\0' ? s->error : curl_easy_strerror(c);
	size_t n;

	if (it->result == ERR_CANCELED || it->result == ERR_TOOBIG || s->own != OK)
		why = err_text(it->result);
	if (s->http && it->code >= 300)
		why = "the server's answer is not the file";
	n = strnlen(why, sizeof it->text - 1);
	memcpy(it->text, why, n);
	it->text[n] = '\0';
}

/* One transfer has ended. True when it was started again from the beginning. */
static bool
finish(struct downloader *d, struct slot *s, CURLcode c)
{
	struct download *it = s->item;

	it->result = judge(s, c);
	if (it->result != OK)
		explain(s, c);
	if (it->result != ERR_CANCELED && cannot_resume(s, c)) {
		slot_free(s);
		it->offset = 0;
		it->restarted = true;
		return start(d, s, it) == OK;
	}
	log_debug("fetch.transfer", "url=%s result=%s code=%ld bytes=%llu wire=%llu",
	    log_q(it->url), err_word(it->result), it->code, (unsigned long long)it->received,
	    (unsigned long long)it->wire);
	slot_free(s);
	return false;
}

static unsigned
reap(struct downloader *d)
{
	CURLMsg *m;
	int left;
	unsigned ended = 0;
	char *private;

	while ((m = curl_multi_info_read(d->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
			continue;
		ended += finish(d, (struct slot *)(void *)private, m->data.result) ? 0 : 1;
	}
	return ended;
}

/* Lets paused transfers go while the bucket has something; answers how long to wait. */
static int
let_go(struct downloader *d)
{
	unsigned wait = 0;

	for (unsigned i = 0; i < LIMIT_FETCH_PARALLEL; i++) {
		struct slot *s = &d->slots[(d->turn + i) % LIMIT_FETCH_PARALLEL];

		if (s->item == NULL || !s->paused)
			continue;
		wait = rate_wait_ms(&d->rate, clock_mono_ms());
		if (wait != 0)
			return (int)wait;
		s->paused = false;
		d->turn = (d->turn + i + 1) % LIMIT_FETCH_PARALLEL;
		(void)curl_easy_pause(s->easy, CURLPAUSE_CONT);
		return 0;
	}
	return POLL_MS;
}

/* libcurl 7.88 opens FTP's data connection in the call after the one that read its port, and
 * nothing but a timer asks for that call: each small file cost 200 ms. */
static int
wait_ms(struct downloader *d)
{
	int wait = let_go(d);

	for (unsigned i = 0; i < LIMIT_FETCH_PARALLEL && wait > FTP_SETUP_MS; i++) {
		const struct slot *s = &d->slots[i];

		if (s->item != NULL && !s->http && !s->paused && s->item->received == 0)
			wait = FTP_SETUP_MS;
	}
	return wait;
}

static void
drop_all(struct downloader *d)
{
	for (unsigned i = 0; i < LIMIT_FETCH_PARALLEL; i++)
		if (d->slots[i].item != NULL) {
			d->slots[i].item->result = ERR_CANCELED;
			slot_free(&d->slots[i]);
		}
}

/* ---- files on this PC: a bundle that was unpacked ---- */

static enum err
copy_piece(struct downloader *d, struct download *it, int fd, char *piece, size_t size, bool *end)
{
	ssize_t n = read(fd, piece, size);

	*end = n == 0;
	if (n < 0)
		return errno == EINTR ? OK : ERR_IO;
	if (atomic_load(&d->canceled))
		return ERR_CANCELED;
	d->total += (uint64_t)n;
	if (d->options.progress != NULL)
		d->options.progress(d->options.arg, d->total);
	return n == 0 ? OK : store(it, piece, (size_t)n);
}

/* Not by libcurl, which is never given the file protocol: no answer of a server may lead there. */
static void
copy_file(struct downloader *d, struct download *it)
{
	char piece[65536];
	bool end = false;
	int fd = open(it->url + strlen(FETCH_FILE_URL), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	it->received = 0;
	it->result = fd >= 0 ? rewind_file(it) : errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	if (it->result == OK && lseek(fd, (off_t)it->offset, SEEK_SET) < 0)
		it->result = ERR_IO;
	while (it->result == OK && !end)
		it->result = copy_piece(d, it, fd, piece, sizeof piece, &end);
	if (fd >= 0)
		(void)close(fd);
	if (it->result != OK)
		(void)snprintf(it->text, sizeof it->text, "%s", err_text(it->result));
}

/* True when the item runs on its own; else it has its result. */
static bool
begin(struct downloader *d, struct slot *s, struct download *it)
{
	if (!text_starts(it->url, FETCH_FILE_URL))
		return start(d, s, it) == OK;
	copy_file(d, it);
	return false;
}

/* Starts items until the slots are full; one that cannot start has its result. */
static void
fill(struct downloader *d, struct download *items, size_t n, size_t *next, unsigned *active)
{
	for (unsigned i = 0; i < LIMIT_FETCH_PARALLEL && *next < n; i++)
		if (d->slots[i].item == NULL && begin(d, &d->slots[i], &items[(*next)++]))
			(*active)++;
}

enum err
downloader_run(struct downloader *d, struct download *items, size_t n)
{
	size_t next = 0;
	unsigned active = 0;
	int running;

	for (size_t i = 0; i < n; i++)
		items[i].result = ERR_CANCELED;
	while (!atomic_load(&d->canceled)) {
		fill(d, items, n, &next, &active);
		if (active == 0 && next == n)
			return OK;
		if (curl_multi_perform(d->multi, &running) != CURLM_OK)
			break;
		active -= reap(d);
		if (active != 0)
			(void)curl_multi_poll(d->multi, NULL, 0, wait_ms(d), NULL);
	}
	drop_all(d);
	return atomic_load(&d->canceled) ? ERR_CANCELED : ERR_NOMEM;
}
