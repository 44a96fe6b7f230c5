/* loadcrowd.c - a crowd on one update agent: readers over FTP and HTTP that check what they read,
 * and long-polls.
 *
 *   loadcrowd HOST FTP_PORT HTTP_PORT VERSION_PORT FEED FTP_READERS HTTP_READERS WAITERS
 *
 * A reader goes again and again from timestamp.json to the snapshot, the targets and one file, each
 * with the hash that the one before names: a missing or torn file is an error. Every eighth round
 * it comes back on a new connection. A waiter asks for a version above the last one it was told.
 * Ends when the last version, a line on stdin, has reached them all, with one line of JSON; status
 * 1 when there was any error. */
#include "loadcrowd.h"

#include "base/json.h"
#include "base/text.h"
#include "update/hash.h"

#include <inttypes.h>

#define BODY_MAX (16u << 20)
#define ROUNDS 8     /* on one connection */
#define PATIENCE 200 /* ticks of 100 ms */

enum step { TIMESTAMP, SNAPSHOT, TARGETS, TARGET };
enum login { GREETED, USER, PASS, TYPE, READY };

struct reader {
	uv_tcp_t tcp, data;
	uv_connect_t connect, connect_data;
	bool ftp, open, ending, data_open, data_ended, told; /* told: 226 came */
	enum login login;
	enum step step;
	struct buf in, body;
	char path[600], sha256[HASH_SHA256_TEXT];
	unsigned rounds, passive, seed;
};

static void reader_start(struct reader *r);
static void reader_want(struct reader *r);
static void ftp_maybe_got(struct reader *r);

/* --- readers: what is read --- */

static cJSON *
signed_part(struct reader *r, cJSON **tree)
{
	if (json_parse(tree, buf_text(&r->body), r->body.len, JSON_SIGNED, NULL) != OK) {
		failed(r->path, "is not whole", "");
		*tree = NULL;
		return NULL;
	}
	return json_get(*tree, "signed");
}

static void
expect_hash(struct reader *r, const cJSON *named)
{
	const char *hash = "";

	if (json_get_string(json_get(named, "hashes"), "sha256", &hash, NULL) != OK ||
	    text_copy(r->sha256, sizeof r->sha256, hash, strlen(hash)) != OK)
		r->sha256[0] = '\0';
}

/* The next document is the version that this one names. */
static bool
follow(struct reader *r, const char *name)
{
	cJSON *tree, *part = signed_part(r, &tree);
	const cJSON *named = json_get(json_get(part, "meta"), name);
	uint64_t version = 0;
	bool ok = json_get_u64(named, "version", UINT32_MAX, &version, NULL) == OK;

	if (ok) {
		(void)snprintf(r->path, sizeof r->path, "%s/metadata/%" PRIu64 ".%s", crowd.feed,
		    version, name);
		expect_hash(r, named);
	} else if (tree != NULL) {
		failed(r->path, "names no", name);
	}
	cJSON_Delete(tree);
	return ok;
}

/* One of the files, by chance. */
static bool
choose(struct reader *r)
{
	cJSON *tree, *part = signed_part(r, &tree);
	const cJSON *files = json_get(part, "targets"), *file;
	int n = cJSON_GetArraySize(files);
	const char *slash;
	int folder;

	if (n == 0) {
		failed(r->path, "lists no files", "");
		cJSON_Delete(tree);
		return false;
	}
	r->seed = r->seed * 1103515245u + 12345u;
	file = cJSON_GetArrayItem(files, (int)(r->seed >> 8) % n);
	slash = strrchr(file->string, '/');
	folder = slash != NULL ? (int)(slash - file->string) + 1 : 0;
	expect_hash(r, file);
	(void)snprintf(r->path, sizeof r->path, "%s/targets/%.*s%s.%s", crowd.feed, folder,
	    file->string, r->sha256, file->string + folder);
	cJSON_Delete(tree);
	return true;
}

/* A new connection, when the handles of the old one are closed. */
static void
reader_again(struct reader *r)
{
	if (r->open || r->data_open)
		return;
	buf_free(&r->in);
	buf_free(&r->body);
	if (!crowd.over)
		reader_start(r);
}

static void
reader_closed(uv_handle_t *h)
{
	struct reader *r = h->data;

	r->open = false;
	reader_again(r);
}

static void
data_closed(uv_handle_t *h)
{
	struct reader *r = h->data;

	r->data_open = false;
	if (r->ending) {
		reader_again(r);
	} else {
		r->data_ended = true;
		ftp_maybe_got(r);
	}
}

static void
reader_end(struct reader *r)
{
	r->ending = true;
	if (r->data_open && !uv_is_closing((uv_handle_t *)&r->data))
		uv_close((uv_handle_t *)&r->data, data_closed);
	if (!uv_is_closing((uv_handle_t *)&r->tcp))
		uv_close((uv_handle_t *)&r->tcp, reader_closed);
}

/* A whole file is there. */
static void
reader_got(struct reader *r)
{
	char hash[HASH_SHA256_TEXT];
	bool ok = true;

	crowd.bytes += r->body.len;
	if (r->step != TIMESTAMP && r->sha256[0] != '\0') {
		hash_sha256_text(r->body.data, r->body.len, hash);
		if (strcmp(hash, r->sha256) != 0)
			failed(r->path, "was torn", hash);
	}
	switch (r->step) {
	case TIMESTAMP:
		ok = follow(r, "snapshot.json");
		break;
	case SNAPSHOT:
		ok = follow(r, "targets.json");
		break;
	case TARGETS:
		ok = choose(r);
		break;
	case TARGET:
		crowd.rounds[r->ftp]++;
		r->rounds++;
		break;
	}
	r->step = r->step == TARGET ? TIMESTAMP : r->step + 1;
	if (!ok || (r->step == TIMESTAMP && (crowd.over || r->rounds == ROUNDS)))
		reader_end(r);
	else
		reader_want(r);
}

/* --- readers: FTP --- */

static void
ftp_maybe_got(struct reader *r)
{
	if (r->told && r->data_ended)
		reader_got(r);
}

static void
on_ftp_data(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct reader *r = s->data;

	if (n > 0) {
		if (buf_append(&r->body, b->base, (size_t)n) != OK)
			failed(r->path, "is endless", "");
		return;
	}
	if (n == 0)
		return;
	if (n != UV_EOF)
		failed(r->path, "broke off:", uv_strerror((int)n));
	uv_close((uv_handle_t *)s, data_closed);
}

static void
on_ftp_data_open(uv_connect_t *c, int status)
{
	struct reader *r = c->data;
	char line[700];

	if (status != 0 && status != UV_ECANCELED)
		failed(r->path, "has no data connection:", uv_strerror(status));
	if (status != 0)
		return;
	(void)uv_read_start((uv_stream_t *)&r->data, on_room, on_ftp_data);
	(void)snprintf(line, sizeof line, "RETR %s\r\n", r->path);
	say(&r->tcp, line);
}

static void
ftp_open_data(struct reader *r, const char *line)
{
	const char *at = strstr(line, "|||");

	if (at == NULL) {
		failed("EPSV", "answered", line);
		reader_end(r);
		return;
	}
	r->connect_data.data = r;
	dial(&r->data, &r->connect_data, (int)strtol(at + 3, NULL, 10), on_ftp_data_open);
	r->data.data = r;
	r->data_open = true;
}

static void
ftp_line(struct reader *r, const char *line)
{
	static const char *const next[] = { "USER ftp\r\n", "PASS x@\r\n", "TYPE I\r\n" };
	static const char *const good[] = { "220", "331", "230", "200" };

	if (r->login < READY - 1 && strncmp(line, good[r->login], 3) == 0) {
		say(&r->tcp, next[r->login++]);
	} else if (r->login == READY - 1 && strncmp(line, good[r->login], 3) == 0) {
		r->login = READY;
		reader_want(r);
	} else if (r->login == READY && strncmp(line, "229", 3) == 0) {
		ftp_open_data(r, line);
	} else if (r->login == READY && strncmp(line, "226", 3) == 0) {
		r->told = true;
		ftp_maybe_got(r);
	} else if (r->login != READY || strncmp(line, "150", 3) != 0) {
		failed(r->path, "answered", line);
		reader_end(r);
	}
}

static void
ftp_lines(struct reader *r)
{
	char line[512];
	const char *end;

	while (!uv_is_closing((uv_handle_t *)&r->tcp) &&
	       (end = strstr(buf_text(&r->in), "\r\n")) != NULL) {
		size_t n = (size_t)(end - buf_text(&r->in));

		(void)snprintf(line, sizeof line, "%.*s", (int)n, buf_text(&r->in));
		buf_consume(&r->in, n + 2);
		ftp_line(r, line);
	}
}

/* --- readers: HTTP --- */

static void
http_answer(struct reader *r)
{
	size_t body, head;
	int status;

	head = http_head(&r->in, &body, &status);
	if (head == 0 || r->in.len < head + body)
		return;
	if (status != 200) {
		failed(r->path, "answered", buf_text(&r->in));
		reader_end(r);
		return;
	}
	buf_reset(&r->body);
	if (buf_append(&r->body, r->in.data + head, body) != OK)
		failed(r->path, "is too long", "");
	buf_consume(&r->in, head + body);
	reader_got(r);
}

static void
reader_want(struct reader *r)
{
	char text[800];

	if (r->step == TIMESTAMP) {
		(void)snprintf(r->path, sizeof r->path, "%s/metadata/timestamp.json", crowd.feed);
		r->sha256[0] = '\0';
	}
	buf_reset(&r->body);
	r->data_ended = r->told = false;
	if (r->ftp) {
		say(&r->tcp, "EPSV\r\n");
		return;
	}
	(void)snprintf(text, sizeof text, "GET /%s HTTP/1.1\r\nHost: crowd\r\n\r\n", r->path);
	say(&r->tcp, text);
}

static void
on_reader_bytes(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct reader *r = s->data;

	if (n < 0) {
		failed(r->path, "connection ended:", uv_strerror((int)n));
		reader_end(r);
	} else if (buf_append(&r->in, b->base, (size_t)n) != OK) {
		failed(r->path, "answer is endless", "");
		reader_end(r);
	} else if (r->ftp) {
		ftp_lines(r);
	} else {
		http_answer(r);
	}
}

static void
on_reader_open(uv_connect_t *c, int status)
{
	struct reader *r = c->data;

	if (status != 0) {
		failed(r->ftp ? "FTP" : "HTTP", "cannot connect:", uv_strerror(status));
		reader_end(r);
		return;
	}
	(void)uv_read_start((uv_stream_t *)&r->tcp, on_room, on_reader_bytes);
	if (!r->ftp)
		reader_want(r);
}

static void
reader_start(struct reader *r)
{
	buf_init(&r->in, BODY_MAX);
	buf_init(&r->body, BODY_MAX);
	r->login = GREETED;
	r->step = TIMESTAMP;
	r->rounds = 0;
	r->open = true;
	r->ending = false;
	r->path[0] = '\0';
	r->connect.data = r;
	dial(&r->tcp, &r->connect, r->ftp ? crowd.ftp_port : crowd.http_port, on_reader_open);
	r->tcp.data = r;
}

/* --- waiters --- */

static void
ask(struct waiter *w)
{
	char text[200];

	(void)snprintf(text, sizeof text,
	    "GET /v1/%s/timestamp?have=%" PRIu64 "&wait=30 HTTP/1.1\r\nHost: crowd\r\n\r\n",
	    crowd.feed, w->have);
	say(&w->tcp, text);
}

static void
told_version(struct waiter *w, const char *body, size_t n)
{
	uint64_t version = 0;
	cJSON *tree;

	if (json_parse(&tree, body, n, JSON_SIGNED, NULL) != OK) {
		failed("3333", "answered a torn timestamp", "");
		return;
	}
	if (json_get_u64(json_get(tree, "signed"), "version", UINT32_MAX, &version, NULL) != OK ||
	    version <= w->have)
		failed("3333", "answered an old version", "");
	w->have = version;
	if (version > crowd.newest)
		crowd.newest = version;
	crowd.answers++;
	cJSON_Delete(tree);
}

static void
on_waiter_bytes(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct waiter *w = s->data;
	size_t body, head;
	int status;

	if (n < 0) {
		failed("3333", "connection ended:", uv_strerror((int)n));
		uv_close((uv_handle_t *)s, NULL);
		return;
	}
	if (buf_append(&w->in, b->base, (size_t)n) != OK)
		failed("3333", "answer is endless", "");
	head = http_head(&w->in, &body, &status);
	if (head == 0 || w->in.len < head + body)
		return;
	if (status == 200)
		told_version(w, (const char *)w->in.data + head, body);
	else if (status == 204)
		crowd.empty++;
	else
		failed("3333", "answered", buf_text(&w->in));
	buf_free(&w->in); /* a waiter's memory is for the server to spend */
	ask(w);
}

static void
on_waiter_open(uv_connect_t *c, int status)
{
	struct waiter *w = c->data;

	if (status != 0) {
		failed("3333", "cannot connect:", uv_strerror(status));
		return;
	}
	(void)uv_read_start((uv_stream_t *)&w->tcp, on_room, on_waiter_bytes);
	ask(w);
}

/* --- the whole --- */

static size_t
behind(void)
{
	size_t n = 0, i;

	for (i = 0; i < crowd.n_waiters; i++)
		n += crowd.waiters[i].have < crowd.last;
	return n;
}

/* Rounds that run are read to their end. */
static void
end_all(void)
{
	char text[60];

	crowd.over = true;
	for (size_t i = 0; i < crowd.n_waiters; i++)
		if (!uv_is_closing((uv_handle_t *)&crowd.waiters[i].tcp))
			uv_close((uv_handle_t *)&crowd.waiters[i].tcp, NULL);
	(void)snprintf(text, sizeof text, "%zu of them", behind());
	if (behind() != 0)
		failed("3333", "did not tell the last version to", text);
	uv_close((uv_handle_t *)&crowd.tick, NULL);
	uv_close((uv_handle_t *)&crowd.input, NULL);
}

/* Ends when the last version is known and every waiter was told of it, or waited in vain. */
static void
on_tick(uv_timer_t *t)
{
	if (crowd.last != 0 && (behind() == 0 || ++crowd.ticks == PATIENCE))
		end_all();
}

static void
on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	if (n == 0)
		return;
	crowd.last = n > 0 ? strtoull(b->base, NULL, 10) : 0;
	if (crowd.last == 0) {
		failed("client", "was not told the last version", "");
		crowd.last = 1;
	}
	(void)uv_read_stop(s);
}

static void
start(size_t n, bool ftp, struct reader *list)
{
	for (size_t i = 0; i < n; i++) {
		list[i].ftp = ftp;
		list[i].seed = (unsigned)i * 7919u + ftp;
		reader_start(&list[i]);
	}
}

static int
summary(void)
{
	for (char *p = crowd.first; *p != '\0'; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
			*p = ' ';
	(void)printf("{\"ftp_rounds\":%" PRIu64 ",\"http_rounds\":%" PRIu64 ",\"bytes\":%" PRIu64
		     ",\"answers\":%" PRIu64 ",\"empty\":%" PRIu64 ",\"newest\":%" PRIu64
		     ",\"errors\":%" PRIu64 ",\"first\":\"%s\"}\n",
	    crowd.rounds[1], crowd.rounds[0], crowd.bytes, crowd.answers, crowd.empty, crowd.newest,
	    crowd.errors, crowd.first);
	return crowd.errors == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	size_t n_ftp, n_http;
	struct reader *readers;

	if (argc != 9) {
		(void)fprintf(stderr, "usage: loadcrowd HOST FTP_PORT HTTP_PORT VERSION_PORT FEED "
				      "FTP_READERS HTTP_READERS WAITERS <last version\n");
		return 2;
	}
	crowd.host = argv[1];
	crowd.ftp_port = (int)strtol(argv[2], NULL, 10);
	crowd.http_port = (int)strtol(argv[3], NULL, 10);
	crowd.version_port = (int)strtol(argv[4], NULL, 10);
	crowd.feed = argv[5];
	n_ftp = (size_t)strtoul(argv[6], NULL, 10);
	n_http = (size_t)strtoul(argv[7], NULL, 10);
	crowd.n_waiters = (size_t)strtoul(argv[8], NULL, 10);
	readers = calloc(n_ftp + n_http + 1, sizeof *readers);
	crowd.waiters = calloc(crowd.n_waiters + 1, sizeof *crowd.waiters);
	if (readers == NULL || crowd.waiters == NULL || uv_loop_init(&crowd.loop) != 0)
		return 1;
	start(n_ftp, true, readers);
	start(n_http, false, readers + n_ftp);
	for (size_t i = 0; i < crowd.n_waiters; i++) {
		struct waiter *w = &crowd.waiters[i];

		buf_init(&w->in, BODY_MAX);
		w->connect.data = w;
		dial(&w->tcp, &w->connect, crowd.version_port, on_waiter_open);
		w->tcp.data = w;
	}
	(void)uv_timer_init(&crowd.loop, &crowd.tick);
	(void)uv_timer_start(&crowd.tick, on_tick, 100, 100);
	(void)uv_pipe_init(&crowd.loop, &crowd.input, 0);
	if (uv_pipe_open(&crowd.input, 0) != 0 ||
	    uv_read_start((uv_stream_t *)&crowd.input, on_room, on_input) != 0)
		return 1;
	(void)uv_run(&crowd.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&crowd.loop) != 0)
		failed("client", "left handles open", "");
	free(readers);
	free(crowd.waiters);
	return summary();
}
