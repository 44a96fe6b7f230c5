/* doctor_ports.c - every port this PC depends on, with its own protocol. FTP is asked three times:
 * commands only, a listing by EPSV, one by PASV; so that a closed control port, a closed passive
 * range and a wrong address behind NAT are told apart. libcurl's multi interface, one probe at a
 * time: doctor owns no loop. */
#include "doctor.h"

#include "base/json.h"
#include "base/text.h"
#include "net/curlset.h"
#include "screen.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MS 5000
#define ANSWER_MAX 262144
#define PASSIVE_TRIES 8u

enum way { WAY_PLAIN, WAY_COMMANDS, WAY_EPSV, WAY_PASV };

struct probe {
	char url[512];
	const char *proxy;
	enum way way;
	/* what came of it */
	bool good;
	CURLcode code;
	char why[320];
	char peer[64]; /* address of the first connection */
	char told[32]; /* address in the answer to PASV, "" = none */
	unsigned port; /* of the data connection that was named, 0 = none */
	size_t left;
};

static size_t
swallow(char *p, size_t size, size_t n, void *ctx)
{
	struct probe *pr = ctx;

	if (size * n > pr->left)
		return 0; /* enough seen */
	pr->left -= size * n;
	return size * n;
}

/* RFC 959: 227 text (h1,h2,h3,h4,p1,p2). RFC 2428: 229 text (|||port|). */
static void
read_passive(struct probe *pr, const char *p, size_t n)
{
	const char *open = memchr(p, '(', n);
	const char *end = p + n, *digits;
	unsigned v[6] = { 0 };
	size_t k = 0;

	if (open == NULL || n < 4 || p[0] != '2' || p[1] != '2' || (p[2] != '7' && p[2] != '9'))
		return;
	digits = open + 1;
	while (digits < end && *digits == '|')
		digits++;
	while (digits < end && k < 6) {
		size_t len = 0;
		uint32_t x;

		while (digits + len < end && digits[len] >= '0' && digits[len] <= '9')
			len++;
		if (text_u32(digits, len, 65535, &x) != OK)
			return;
		v[k++] = x;
		digits += len + 1;
		if (p[2] == '9')
			break;
	}
	if (p[2] == '9') {
		pr->port = v[0];
	} else if (k == 6 && v[4] < 256 && v[5] < 256) {
		pr->port = v[4] * 256 + v[5];
		(void)snprintf(pr->told, sizeof pr->told, "%u.%u.%u.%u", v[0] & 255, v[1] & 255,
		    v[2] & 255, v[3] & 255);
	}
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	read_passive(ctx, p, size * n);
	return size * n;
}

static CURLcode
perform(CURL *easy, struct probe *pr)
{
	CURLM *multi = curl_multi_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	int running = 1, left;
	CURLMsg *m;

	if (multi == NULL)
		return code;
	if (curl_multi_add_handle(multi, easy) == CURLM_OK) {
		while (running > 0) {
			const char *ip = NULL;

			if (curl_multi_perform(multi, &running) != CURLM_OK)
				break;
			if (pr->peer[0] == '\0' &&
			    curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK &&
			    ip != NULL)
				(void)snprintf(pr->peer, sizeof pr->peer, "%s", ip);
			if (running > 0)
				(void)curl_multi_poll(multi, NULL, 0, 200, NULL);
		}
		while ((m = curl_multi_info_read(multi, &left)) != NULL)
			if (m->msg == CURLMSG_DONE)
				code = m->data.result;
		(void)curl_multi_remove_handle(multi, easy);
	}
	(void)curl_multi_cleanup(multi);
	return code;
}

static bool
prepare(CURL *easy, struct probe *pr, char *error)
{
	struct curlset set = { .protocols = "ftp,http",
		.connect_ms = PROBE_MS,
		.total_ms = PROBE_MS,
		.proxy = pr->proxy };
	long epsv = pr->way == WAY_EPSV, bare = pr->way == WAY_COMMANDS;

	return curlset_apply(easy, &set) == OK &&
	       curl_easy_setopt(easy, CURLOPT_URL, pr->url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_NOBODY, bare) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FTP_USE_EPSV, epsv) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FTP_SKIP_PASV_IP, 0L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, pr) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, pr) == CURLE_OK;
}

/* Good when somebody who speaks the protocol answers; a refusal in the protocol is an answer. */
static bool
probe(struct probe *pr)
{
	CURL *easy = curl_easy_init();
	char error[CURL_ERROR_SIZE] = "";

	pr->left = ANSWER_MAX;
	pr->good = false;
	pr->code = CURLE_OUT_OF_MEMORY;
	if (easy != NULL && prepare(easy, pr, error))
		pr->code = perform(easy, pr);
	curl_easy_cleanup(easy);
	pr->good = pr->code == CURLE_OK || pr->code == CURLE_REMOTE_FILE_NOT_FOUND ||
		   pr->code == CURLE_WRITE_ERROR;
	(void)snprintf(pr->why, sizeof pr->why, "%s",
	    pr->good	       ? "answers"
	    : error[0] != '\0' ? error
			       : curl_easy_strerror(pr->code));
	return pr->good;
}

static void
make_url(
    char *dst, size_t size, const char *scheme, const char *host, uint64_t port, const char *path)
{
	bool six = strchr(host, ':') != NULL;

	(void)snprintf(dst, size, "%s://%s%s%s:%llu%s", scheme, six ? "[" : "", host,
	    six ? "]" : "", (unsigned long long)port, path);
}

static bool
plain_port(struct doctor *d, const cJSON *s, const char *name, const char *kind, uint64_t port,
    const char *path)
{
	struct probe pr = { .way = WAY_PLAIN };
	const char *host = screen_text(s, "host");
	char what[400], remedy[400];

	if (port == 0)
		return true;
	make_url(pr.url, sizeof pr.url, "http", host, port, path);
	(void)snprintf(what, sizeof what, "%s at %s (%s:%llu)", kind, screen_text(s, "name"), host,
	    (unsigned long long)port);
	(void)snprintf(remedy, sizeof remedy, "let this PC reach TCP %llu of %s",
	    (unsigned long long)port, host);
	if (!probe(&pr))
		doctor_hint(d, false, host, (unsigned)port, (unsigned)port);
	doctor_say(d, name, pr.good, what, pr.why, remedy);
	return pr.good;
}

/* The range of the role's default around a port that was named, else that port alone. */
static void
hint_range(struct doctor *d, const char *host, unsigned port)
{
	bool usual = port >= 3400 && port <= 3999;

	doctor_hint(d, false, host, usual ? 3400 : port, usual ? 3999 : port);
}

static void
passive(struct doctor *d, const cJSON *s, struct probe *pr, const char *what)
{
	const char *host = screen_text(s, "host");
	char text[500], remedy[500], address[64];

	unsigned lowest = UINT_MAX, highest = 0, tries = 0;
	bool good = true;

	(void)snprintf(address, sizeof address, "%s", pr->peer);
	/* The mirror takes a random port each time: several tell a hole in the range, too. */
	while (good && tries++ < PASSIVE_TRIES) {
		pr->told[0] = '\0';
		pr->port = 0;
		good = probe(pr);
		lowest = pr->port < lowest ? pr->port : lowest;
		highest = pr->port > highest ? pr->port : highest;
	}
	if (good) {
		(void)snprintf(text, sizeof text, "listings came through %u ports from %u to %u",
		    PASSIVE_TRIES, lowest, highest);
		doctor_say(d, "ftp-passive", true, what, text, "");
		return;
	}
	if (pr->told[0] != '\0' && address[0] != '\0' && strcmp(pr->told, address) != 0) {
		(void)snprintf(text, sizeof text,
		    "it is reached at %s but names %s for data connections: %s", address, pr->told,
		    pr->why);
		(void)snprintf(remedy, sizeof remedy,
		    "on that mirror set [update-agent] passive_address=%s, and local_networks "
		    "without this PC's network",
		    address);
		doctor_say(d, "nat-address", false, what, text, remedy);
		return;
	}
	(void)snprintf(text, sizeof text, "port %u of the passive range cannot be reached: %s",
	    pr->port, pr->why);
	(void)snprintf(remedy, sizeof remedy,
	    "let this PC reach the passive range of %s (default 3400-3999; passive_first and "
	    "passive_count of the mirror)",
	    host);
	hint_range(d, host, pr->port);
	doctor_say(d, "ftp-passive", false, what, text, remedy);
}

static void
ftp_port(struct doctor *d, const cJSON *s)
{
	uint64_t port = screen_number(s, "ftp");
	const char *host = screen_text(s, "host");
	struct probe pr = { .way = WAY_COMMANDS };
	char what[400], remedy[400];

	if (port == 0)
		return;
	make_url(pr.url, sizeof pr.url, "ftp", host, port, "/");
	(void)snprintf(what, sizeof what, "FTP at %s (%s:%llu)", screen_text(s, "name"), host,
	    (unsigned long long)port);
	(void)snprintf(remedy, sizeof remedy, "let this PC reach TCP %llu of %s",
	    (unsigned long long)port, host);
	if (!probe(&pr))
		doctor_hint(d, false, host, (unsigned)port, (unsigned)port);
	doctor_say(d, "ftp", pr.good, what, pr.why, remedy);
	if (!pr.good)
		return;
	pr.way = WAY_EPSV;
	(void)snprintf(what, sizeof what, "FTP passive range at %s, EPSV", screen_text(s, "name"));
	passive(d, s, &pr, what);
	if (strchr(pr.peer, ':') != NULL)
		return; /* PASV is for IPv4 */
	pr.way = WAY_PASV;
	(void)snprintf(what, sizeof what, "FTP passive range at %s, PASV", screen_text(s, "name"));
	passive(d, s, &pr, what);
}

/* The proxy must answer as one: it is asked for a mirror's page. */
static void
proxy(struct doctor *d, const cJSON *doc, const cJSON *source)
{
	const char *configured = screen_text(doc, "proxy"), *env = getenv("http_proxy");
	struct probe pr = { .way = WAY_PLAIN, .proxy = configured };
	uint64_t port = screen_number(source, "http");
	char text[400];

	if (configured[0] == '\0') {
		if (env != NULL && env[0] != '\0')
			doctor_say(d, "proxy", true, "proxy",
			    "http_proxy of the environment is not used; [update] proxy= would be",
			    "");
		return;
	}
	make_url(pr.url, sizeof pr.url, "http",
	    source == NULL ? "localhost" : screen_text(source, "host"),
	    port != 0 ? port : screen_number(source, "version"), "/");
	(void)probe(&pr);
	(void)snprintf(text, sizeof text, "%s: %s", configured, pr.why);
	doctor_say(d, "proxy", pr.good, "proxy", text,
	    "correct [update] proxy= in agent.conf, or leave it empty");
}

/* The agent's own port for events: programs on this PC post there, whatever way doctor came. */
static void
event_port(struct doctor *d, const cJSON *status)
{
	uint64_t port = screen_number(json_get(status, "ports"), "event");
	struct probe pr = { .way = WAY_PLAIN };
	char what[64];

	if (port == 0)
		return;
	make_url(pr.url, sizeof pr.url, "http", "127.0.0.1", port, "/v1/status");
	(void)snprintf(what, sizeof what, "event port (127.0.0.1:%llu)", (unsigned long long)port);
	(void)probe(&pr);
	doctor_say(d, "event-port", pr.good, what, pr.why,
	    "let programs on this PC reach 127.0.0.1: a rule for loopback comes first in a "
	    "firewall");
}

void
doctor_ports(struct doctor *d, const cJSON *status)
{
	const cJSON *s, *first = NULL;
	cJSON *doc;
	unsigned n = 0;

	event_port(d, status);
	if (ask(d->call, "GET", "/v1/sources", &doc) != EXIT_GOOD)
		return;
	cJSON_ArrayForEach(s, json_get(doc, "sources"))
	{
		if (first == NULL || strcmp(screen_text(s, "kind"), "server") == 0)
			first = s;
		(void)plain_port(
		    d, s, "version", "version port", screen_number(s, "version"), "/v1/feeds");
		ftp_port(d, s);
		(void)plain_port(d, s, "http", "HTTP", screen_number(s, "http"), "/");
		n++;
	}
	proxy(d, doc, first);
	if (n == 0 && cJSON_IsTrue(json_get(json_get(status, "identity"), "enrolled")))
		doctor_say(d, "sources", false, "sources", "no source of updates is known",
		    "let the console name a server, or an update agent in sources of a policy");
	cJSON_Delete(doc);
}
