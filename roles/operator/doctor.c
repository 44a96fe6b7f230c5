/* doctor.c - findings in order: what the agent's documents say about clock, certificate, role,
 * engine, memory and disk, and what the ports say themselves (doctor_ports.c). */
#include "doctor.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "os/process.h"
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_MS (5ll * 86400 * 1000)
#define SKEW_MS 300000ll
#define MIRROR_FLOOR (4ull << 30)
#define DISK_FLOOR (512ull << 20)
#define MEMORY_FLOOR (384ull << 20) /* a small set beside the one in use, and its tables */

void
doctor_say(struct doctor *d, const char *name, bool good, const char *what, const char *text,
    const char *remedy)
{
	cJSON *o = cJSON_CreateObject();

	d->bad += !good;
	if (!d->call->json) {
		(void)printf("%s %s: %s\n", screen_mark(good ? MARK_GOOD : MARK_BAD), what, text);
		if (!good && remedy[0] != '\0')
			(void)printf("   remedy: %s\n", remedy);
	}
	if (o == NULL || json_add_string(o, "name", name) != OK ||
	    json_add_bool(o, "good", good) != OK || json_add_string(o, "what", what) != OK ||
	    json_add_string(o, "text", text) != OK ||
	    json_add_string(o, "remedy", good ? "" : remedy) != OK) {
		cJSON_Delete(o);
		return;
	}
	if (json_append(d->findings, o) != OK)
		(void)fprintf(stderr, "atalaia: memory ran out\n");
}

static void
judge_time(struct doctor *d, const cJSON *s)
{
	const cJSON *id = json_get(s, "identity");
	const char *until = screen_text(id, "certificate_until");
	bool behind = cJSON_IsTrue(json_get(s, "clock_behind"));
	int64_t ms;

	doctor_say(d, "clock", !behind, "clock",
	    behind ? "behind signed time" : "not behind any signed time",
	    "timedatectl set-ntp yes");
	if (until[0] != '\0' && clock_parse(until, strlen(until), &ms) == OK)
		doctor_say(d, "certificate", ms - clock_wall_ms() > CERTIFICATE_MS, "certificate",
		    until, "let this PC reach its console: it renews by itself");
}

/* --- 2225, and 2222 from the other side --- */

static void
judge_skew(struct doctor *d, const cJSON *answer)
{
	const char *then = screen_text(answer, "time");
	int64_t ms, apart;
	char text[160];

	if (clock_parse(then, strlen(then), &ms) != OK)
		return;
	apart = clock_wall_ms() - ms;
	if (apart < SKEW_MS && apart > -SKEW_MS)
		return;
	(void)snprintf(text, sizeof text, "%lld s %s the console's",
	    (long long)((apart < 0 ? -apart : apart) / 1000), apart < 0 ? "behind" : "ahead of");
	doctor_say(d, "clock", false, "clock", text, "timedatectl set-ntp yes");
}

static void
judge_back(struct doctor *d, const cJSON *answer)
{
	unsigned port = (unsigned)screen_number(answer, "task_port");
	const char *address = screen_text(answer, "address");
	bool reached = cJSON_IsTrue(json_get(answer, "reached"));
	char text[500], remedy[300];

	(void)snprintf(text, sizeof text, "the console sees this PC as %s and %s port %u%s%s",
	    address, reached ? "reaches" : "does not reach", port, reached ? "" : ": ",
	    screen_text(answer, "error"));
	(void)snprintf(remedy, sizeof remedy,
	    "let the console reach TCP %u of this PC; until then tasks come by 2225, which is "
	    "slower "
	    "and no harm (usual behind NAT)",
	    port);
	if (!reached)
		doctor_hint(d, true, "", port, port);
	doctor_say(d, "task-port", reached, "task port", text, remedy);
}

static void
judge_console(struct doctor *d, const cJSON *s)
{
	const cJSON *id = json_get(s, "identity");
	const char *host = screen_text(id, "console");
	unsigned port = (unsigned)screen_number(id, "console_port");
	struct fault f = { 0 };
	cJSON *answer = NULL;
	char what[320], remedy[320];
	int status = 0;

	if (!cJSON_IsTrue(json_get(id, "enrolled"))) {
		doctor_say(d, "enrolment", false, "enrolment", "this PC is not enrolled",
		    screen_text(id, "remedy"));
		return;
	}
	(void)snprintf(what, sizeof what, "console (%s:%u)", host, port);
	(void)snprintf(remedy, sizeof remedy, "let this PC reach TCP %u of %s", port, host);
	if (client_ask(d->call->client, "POST", "/v1/probe", &status, &answer, &f) != OK)
		doctor_say(d, "console", false, what, fault_text(&f), remedy);
	else if (status == 200) {
		doctor_say(d, "console", true, what, "answers, and connected back", "");
		judge_back(d, answer);
		judge_skew(d, answer);
	} else {
		if (status == 502)
			doctor_hint(d, false, host, port, port);
		doctor_say(d, "console", false, what, screen_text(answer, "detail"), remedy);
	}
	cJSON_Delete(answer);
}

/* --- the role of this PC --- */

static uint32_t
option(const cJSON *options, const char *name, uint32_t dflt)
{
	const char *v = screen_text(options, name);
	uint32_t n;

	return v[0] != '\0' && text_u32(v, strlen(v), 65535, &n) == OK ? n : dflt;
}

static void
judge_overlap(struct doctor *d, const cJSON *s, const cJSON *role)
{
	const cJSON *options = json_get(role, "options");
	uint32_t first = option(options, "passive_first", 3400);
	uint32_t count = option(options, "passive_count", 600), last = first + count - 1;
	const uint32_t ours[] = { (uint32_t)screen_number(json_get(s, "ports"), "task"),
		(uint32_t)screen_number(json_get(s, "ports"), "event"),
		option(options, "version_port", 3333), option(options, "ftp_port", 2021),
		option(options, "http_port", 0), 2225, 2226, 10443 };
	char text[200] = "", all[300];
	size_t n = 0;

	if (first == 0)
		return;
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (ours[i] >= first && ours[i] <= last && n < sizeof text - 8)
			n += (size_t)snprintf(text + n, sizeof text - n, " %u", ours[i]);
	(void)snprintf(all, sizeof all, "the range %u-%u %s%s", first, last,
	    n > 0 ? "has service ports of ours inside:" : "has no service port of ours inside",
	    text);
	doctor_say(d, "passive-overlap", n == 0, "passive range of this PC", all,
	    "move passive_first, such as 3400 with passive_count 600");
}

static void
judge_role(struct doctor *d, const cJSON *s)
{
	const cJSON *role = json_get(s, "update_agent");
	const char *why = screen_text(role, "why");
	bool serving = cJSON_IsTrue(json_get(role, "serving"));

	if (!cJSON_IsTrue(json_get(role, "on")))
		return;
	doctor_say(d, "role", serving, "update agent on this PC",
	    serving	     ? "serves"
	    : why[0] != '\0' ? why
			     : "does not serve",
	    "see the log of atalaia-agent; correct [update-agent] or the task's settings");
	judge_overlap(d, s, role);
}

/* --- room --- */

static void
judge_memory(struct doctor *d, const cJSON *s, const cJSON *doc)
{
	const cJSON *e = json_get(s, "engine");
	uint64_t room = screen_number(json_get(doc, "hardware"), "memory_available");
	uint64_t need = screen_number(json_get(e, "memory"), "need");
	char text[200], bytes[64], floor[64];

	if (strcmp(screen_text(e, "type"), "clamd") != 0 || room == 0)
		return;
	if (need == 0) /* no set has been loaded for test yet */
		need = MEMORY_FLOOR;
	screen_bytes(bytes, sizeof bytes, room);
	screen_bytes(floor, sizeof floor, need);
	(void)snprintf(text, sizeof text, "%s available, a load needs about %s", bytes, floor);
	doctor_say(d, "memory", room > need, "memory for a reload of the engine", text,
	    "set ConcurrentDatabaseReload no in clamd.conf, or add memory");
}

/* What the agent keeps free: as configured, else what a mirror keeps (4 GiB or a tenth), else
 * enough for a set beside the one in use. */
static uint64_t
disk_floor(const cJSON *s, const cJSON *disk, uint64_t configured)
{
	uint64_t total = screen_number(disk, "total");

	if (configured != 0)
		return configured;
	if (!cJSON_IsTrue(json_get(json_get(s, "update_agent"), "on")) || total == 0)
		return DISK_FLOOR;
	return total / 10 < MIRROR_FLOOR ? total / 10 : MIRROR_FLOOR;
}

static void
judge_room(struct doctor *d, const cJSON *s)
{
	cJSON *doc, *sources = NULL;
	const cJSON *k;
	uint64_t configured = 0;

	if (ask(d->call, "GET", "/v1/inventory", &doc) != EXIT_GOOD)
		return;
	if (ask(d->call, "GET", "/v1/sources", &sources) == EXIT_GOOD)
		configured = screen_number(sources, "disk_floor");
	cJSON_Delete(sources);
	judge_memory(d, s, doc);
	cJSON_ArrayForEach(k, json_get(doc, "disks"))
	{
		uint64_t least = disk_floor(s, k, configured), left = screen_number(k, "free");
		char what[320], text[160], room[64], floor[64];

		(void)snprintf(what, sizeof what, "disk %s", screen_text(k, "path"));
		screen_bytes(room, sizeof room, left);
		screen_bytes(floor, sizeof floor, least);
		(void)snprintf(text, sizeof text, "%s free, %s must stay free", room, floor);
		doctor_say(d, "disk", left > least, what, text,
		    "free some room: updates stop below the floor, what is there goes on working");
	}
	cJSON_Delete(doc);
}

/* freshclam is no fault; that its signatures are not the ones in use wants saying. */
static void
judge_freshclam(struct doctor *d, const cJSON *s)
{
	long pid = process_find("freshclam");
	char text[200];

	if (pid == 0 || strcmp(screen_text(json_get(s, "engine"), "type"), "clamd") != 0)
		return;
	(void)snprintf(text, sizeof text,
	    "runs (process %ld); clamd does not read it while DatabaseDirectory is our set: "
	    "systemctl disable --now clamav-freshclam",
	    pid);
	doctor_say(d, "freshclam", true, "freshclam", text, "");
}

static void
judge_engine(struct doctor *d, const cJSON *s)
{
	const cJSON *e = json_get(s, "engine");

	if (strcmp(screen_text(e, "type"), "none") == 0 || json_get(e, "up") == NULL)
		return;
	doctor_say(d, "engine", cJSON_IsTrue(json_get(e, "up")), "engine",
	    screen_text(e, "error")[0] == '\0' ? "answers" : screen_text(e, "error"),
	    "systemctl status clamav-daemon");
}

static void
print_json(struct doctor *d)
{
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || json_add_u64(o, "bad", d->bad) != OK ||
	    !cJSON_AddItemToObject(o, "findings", d->findings)) {
		(void)fprintf(stderr, "atalaia: memory ran out\n");
		cJSON_Delete(o);
		return;
	}
	d->findings = NULL;
	if (doctor_hints_json(d, o))
		screen_json(o);
	cJSON_Delete(o);
}

int
verb_doctor(const struct call *c)
{
	struct doctor *d = calloc(1, sizeof *d);
	cJSON *s;
	int r = d == NULL ? EXIT_TROUBLE : ask(c, "GET", "/v1/status", &s);

	if (r != EXIT_GOOD) {
		free(d);
		return r;
	}
	d->call = c;
	d->findings = cJSON_CreateArray();
	doctor_say(d, "agent", true, "agent", "answers", "");
	judge_time(d, s);
	judge_console(d, s);
	judge_role(d, s);
	doctor_ports(d, s);
	judge_engine(d, s);
	judge_freshclam(d, s);
	judge_room(d, s);
	if (c->json)
		print_json(d);
	else if (c->fix_hints)
		doctor_print_hints(d);
	r = d->bad == 0 ? EXIT_GOOD : EXIT_TROUBLE;
	cJSON_Delete(d->findings);
	cJSON_Delete(s);
	free(d);
	return r;
}
