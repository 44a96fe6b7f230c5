/* doctor.c - probes every port this PC depends on with its own protocol, and judges clock,
 * certificate and disk out of the agent's documents. libcurl's multi interface, one probe at a
 * time: doctor owns no loop. */
#include "verbs.h"

#include "base/clock.h"
#include "base/json.h"
#include "net/curlset.h"
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MS 8000
#define CERTIFICATE_MS (5ll * 86400 * 1000)
#define DISK_FLOOR (512ull << 20)

struct doctor {
	const struct call *call;
	cJSON *findings;
	unsigned bad;
};

static void
say(struct doctor *d, bool good, const char *what, const char *text, const char *remedy)
{
	cJSON *o = cJSON_CreateObject();

	d->bad += !good;
	if (!d->call->json) {
		(void)printf("%s %s: %s\n", screen_mark(good ? MARK_GOOD : MARK_BAD), what, text);
		if (!good && remedy[0] != '\0')
			(void)printf("   remedy: %s\n", remedy);
	}
	if (o == NULL || json_add_bool(o, "good", good) != OK ||
	    json_add_string(o, "what", what) != OK || json_add_string(o, "text", text) != OK ||
	    json_add_string(o, "remedy", good ? "" : remedy) != OK) {
		cJSON_Delete(o);
		return;
	}
	if (json_append(d->findings, o) != OK)
		(void)fprintf(stderr, "atalaia: memory ran out\n");
}

static size_t
swallow(char *p, size_t size, size_t n, void *ctx)
{
	size_t *left = ctx;

	if (size * n > *left)
		return 0; /* enough seen */
	*left -= size * n;
	return size * n;
}

static CURLcode
perform(CURL *easy)
{
	CURLM *multi = curl_multi_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	int running = 1, left;
	CURLMsg *m;

	if (multi == NULL)
		return code;
	if (curl_multi_add_handle(multi, easy) == CURLM_OK) {
		while (running > 0) {
			if (curl_multi_perform(multi, &running) != CURLM_OK)
				break;
			if (running > 0)
				(void)curl_multi_poll(multi, NULL, 0, 1000, NULL);
		}
		while ((m = curl_multi_info_read(multi, &left)) != NULL)
			if (m->msg == CURLMSG_DONE)
				code = m->data.result;
		(void)curl_multi_remove_handle(multi, easy);
	}
	(void)curl_multi_cleanup(multi);
	return code;
}

/* True when somebody who speaks the protocol answers; a refusal in the protocol is an answer. */
static bool
probe(const char *url, char *why, size_t size)
{
	struct curlset set = {
		.protocols = "ftp,http", .connect_ms = PROBE_MS, .total_ms = PROBE_MS
	};
	CURL *easy = curl_easy_init();
	char error[CURL_ERROR_SIZE] = "";
	size_t left = 262144;
	long status = 0;
	CURLcode code;

	(void)snprintf(why, size, "memory ran out");
	if (easy == NULL)
		return false;
	if (curlset_apply(easy, &set) != OK ||
	    curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &left) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return false;
	}
	code = perform(easy);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	(void)snprintf(why, size, "%s",
	    code == CURLE_OK   ? "answers"
	    : error[0] != '\0' ? error
			       : curl_easy_strerror(code));
	curl_easy_cleanup(easy);
	return code == CURLE_OK || code == CURLE_REMOTE_FILE_NOT_FOUND || code == CURLE_WRITE_ERROR;
}

static void
probe_port(struct doctor *d, const cJSON *s, const char *kind, const char *scheme, uint64_t port,
    const char *path)
{
	const char *host = screen_text(s, "host");
	bool six = strchr(host, ':') != NULL;
	char url[512], what[400], why[320], remedy[320];

	if (port == 0)
		return;
	(void)snprintf(url, sizeof url, "%s://%s%s%s:%llu%s", scheme, six ? "[" : "", host,
	    six ? "]" : "", (unsigned long long)port, path);
	(void)snprintf(what, sizeof what, "%s at %s (%s:%llu)", kind, screen_text(s, "name"), host,
	    (unsigned long long)port);
	(void)snprintf(remedy, sizeof remedy, "let this PC reach TCP %llu of %s%s",
	    (unsigned long long)port, host,
	    strcmp(scheme, "ftp") == 0 ? " and its passive range (default 3400-3999)" : "");
	say(d, probe(url, why, sizeof why), what, why, remedy);
}

static void
probe_sources(struct doctor *d)
{
	cJSON *doc;
	const cJSON *s;
	unsigned n = 0;

	if (ask(d->call, "GET", "/v1/sources", &doc) != EXIT_GOOD)
		return;
	cJSON_ArrayForEach(s, json_get(doc, "sources"))
	{
		probe_port(d, s, "version port", "http", screen_number(s, "version"), "/v1/feeds");
		probe_port(d, s, "FTP and passive range", "ftp", screen_number(s, "ftp"), "/");
		probe_port(d, s, "HTTP", "http", screen_number(s, "http"), "/");
		n++;
	}
	if (n == 0)
		say(d, false, "sources", "no source of updates is known",
		    "enrol this PC, or let the console "
		    "name a server");
	cJSON_Delete(doc);
}

static void
judge_time(struct doctor *d, const cJSON *s)
{
	const cJSON *id = json_get(s, "identity");
	const char *until = screen_text(id, "certificate_until");
	bool behind = cJSON_IsTrue(json_get(s, "clock_behind"));
	int64_t ms;

	say(d, !behind, "clock", behind ? "behind signed time" : "not behind any signed time",
	    "timedatectl set-ntp yes");
	if (until[0] != '\0' && clock_parse(until, strlen(until), &ms) == OK)
		say(d, ms - clock_wall_ms() > CERTIFICATE_MS, "certificate", until,
		    "let this PC reach its console: it renews by itself");
}

static void
judge_console(struct doctor *d, const cJSON *s)
{
	const cJSON *id = json_get(s, "identity");
	const char *error = screen_text(id, "console_error");
	char remedy[320];

	if (!cJSON_IsTrue(json_get(id, "enrolled"))) {
		say(d, false, "enrolment", "this PC is not enrolled", screen_text(id, "remedy"));
		return;
	}
	(void)snprintf(remedy, sizeof remedy, "let this PC reach TCP %llu of %s",
	    (unsigned long long)screen_number(id, "console_port"), screen_text(id, "console"));
	say(d, error[0] == '\0', "console", error[0] == '\0' ? "heard" : error, remedy);
}

static void
judge_disk(struct doctor *d)
{
	cJSON *doc;
	const cJSON *k;

	if (ask(d->call, "GET", "/v1/inventory", &doc) != EXIT_GOOD)
		return;
	cJSON_ArrayForEach(k, json_get(doc, "disks"))
	{
		char what[320], room[64];

		(void)snprintf(what, sizeof what, "disk %s", screen_text(k, "path"));
		screen_bytes(room, sizeof room, screen_number(k, "free"));
		say(d, screen_number(k, "free") > DISK_FLOOR, what, room, "free some room");
	}
	cJSON_Delete(doc);
}

static void
judge_engine(struct doctor *d, const cJSON *s)
{
	const cJSON *e = json_get(s, "engine");

	if (strcmp(screen_text(e, "type"), "none") == 0 || json_get(e, "up") == NULL)
		return;
	say(d, cJSON_IsTrue(json_get(e, "up")), "engine",
	    screen_text(e, "error")[0] == '\0' ? "answers" : screen_text(e, "error"),
	    "systemctl status clamav-daemon");
}

int
verb_doctor(const struct call *c)
{
	struct doctor d = { .call = c, .findings = cJSON_CreateArray() };
	cJSON *s;
	int r = ask(c, "GET", "/v1/status", &s);

	if (r != EXIT_GOOD) {
		cJSON_Delete(d.findings);
		return r;
	}
	say(&d, true, "agent", "answers", "");
	judge_time(&d, s);
	judge_console(&d, s);
	probe_sources(&d);
	judge_engine(&d, s);
	judge_disk(&d);
	if (c->json)
		screen_json(d.findings);
	cJSON_Delete(d.findings);
	cJSON_Delete(s);
	return d.bad == 0 ? EXIT_GOOD : EXIT_TROUBLE;
}
