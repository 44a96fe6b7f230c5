/* relay.c - see relay.h. */
#include "relay.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch_job.h"
#include "identity.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/dropped.h"
#include "proto/ticket.h"
#include "report.h"
#include "update/hash_file.h"
#include "update_internal.h"
#include "upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PAUSE_MS 2000u
#define MAX_PAUSE_MS 900000u
#define IDLE_MS 3600000u /* a look without news: somebody may have put a file there by hand */
#define UPLOAD_TRIES 4	 /* then the longer pauses are ours */
#define REFUSED ".refused-"

enum step { LOOK, NAME, TAKEN, SET_ASIDE };

struct relay {
	struct agent *agent;
	const char *box;
	bool on, busy, news, closing;
	enum step step;
	uv_work_t work;
	uv_timer_t timer;
	char name[256], path[4400]; /* the file under way, "" = none */
	char ticketed[256];	    /* what the upstream's box hears it called */
	char agent_id[64];
	enum err err; /* of the worker */
	uint64_t waiting_files, waiting_bytes;
	struct upload *upload; /* one of the two while a file is under way */
	struct fetch_job *job;
	unsigned fails;
	uint64_t sent_files, sent_bytes, failed, refused;
	char why[400];
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void look(struct relay *r);

/* --- worker --- */

/* Names begin with the time of arrival, so the smallest is the oldest. */
static void
look_work(struct relay *r)
{
	DIR *d = opendir(r->box);
	const struct dirent *de;
	struct stat st;

	r->name[0] = '\0';
	r->waiting_files = r->waiting_bytes = 0;
	r->err = d == NULL ? err_from_errno(errno) : OK;
	while (d != NULL && (de = readdir(d)) != NULL) {
		if (!text_is_file_name(de->d_name, strlen(de->d_name)) || de->d_name[0] == '.' ||
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		r->waiting_files++;
		r->waiting_bytes += (uint64_t)st.st_size;
		if (r->name[0] == '\0' || strcmp(de->d_name, r->name) < 0)
			(void)snprintf(r->name, sizeof r->name, "%s", de->d_name);
	}
	if (d != NULL)
		(void)closedir(d);
}

/* The name here is random and stays, so the upstream's box knows the file again after a kill of
 * either side. */
static void
name_work(struct relay *r)
{
	char secret[400], sha[HASH_SHA256_TEXT], plain[128];
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	r->err = fd < 0 ? err_from_errno(errno) : hash_file(fd, 0, UINT64_MAX, sha, NULL);
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(secret, sizeof secret, "box %s %s", r->agent_id, r->name);
	(void)snprintf(plain, sizeof plain, "%.127s", r->name);
	if (r->err == OK)
		r->err = ticket_name(r->ticketed, sizeof r->ticketed, secret, sha, plain);
}

static void
leave_work(struct relay *r)
{
	char aside[4500];
	int bad;

	if (r->step == TAKEN) {
		bad = unlink(r->path);
	} else {
		(void)snprintf(aside, sizeof aside, "%s/" REFUSED "%s", r->box, r->name);
		bad = rename(r->path, aside);
	}
	r->err = bad == 0 || errno == ENOENT ? file_sync_dir(r->box, NULL) : err_from_errno(errno);
}

static void
run(uv_work_t *w)
{
	struct relay *r = w->data;

	if (r->step == LOOK)
		look_work(r);
	else if (r->step == NAME)
		name_work(r);
	else
		leave_work(r);
}

/* --- loop --- */

static void
timer_closed(uv_handle_t *h)
{
	struct relay *r = h->data;

	r->closed(r->closed_ctx);
	free(r);
}

/* True when the relay is on its way out. */
static bool
ending(struct relay *r)
{
	if (!r->closing)
		return !r->on;
	if (!r->busy && r->upload == NULL && r->job == NULL &&
	    !uv_is_closing((uv_handle_t *)&r->timer))
		uv_close((uv_handle_t *)&r->timer, timer_closed);
	return true;
}

static void
on_timer(uv_timer_t *t)
{
	look(t->data);
}

static void
later(struct relay *r, const char *why)
{
	uint64_t pause = FIRST_PAUSE_MS;

	r->failed++;
	(void)snprintf(r->why, sizeof r->why, "%s", why);
	for (unsigned i = 0; i < r->fails && pause < MAX_PAUSE_MS; i++)
		pause *= 2;
	r->fails++;
	pause += rand_below((uint32_t)pause / 2);
	log_warn("relay.later", "file=%s why=%s again_ms=%llu", r->name, log_q(why),
	    (unsigned long long)pause);
	(void)uv_timer_start(&r->timer, on_timer, pause, 0);
}

static void worked(uv_work_t *w, int status);

static void
work(struct relay *r, enum step step)
{
	r->step = step;
	r->busy = true;
	(void)uv_queue_work(&r->agent->loop, &r->work, run, worked);
}

static void
arrived(struct relay *r, enum err e, const char *why)
{
	if (ending(r))
		return;
	if (e == OK) {
		log_info("relay.sent", "file=%s to=%s", r->name, log_q(why));
		work(r, TAKEN);
	} else if (e == ERR_DENIED || e == ERR_TOOBIG) {
		/* It would be refused for ever and hold up the rest. */
		report_dropbox_refused(r->agent, r->name, why);
		work(r, SET_ASIDE);
	} else if (e == ERR_STATE) {
		look(r); /* somebody took it away meanwhile */
	} else {
		later(r, why);
	}
}

static void
uploaded(void *ctx, enum err e, const char *why)
{
	struct relay *r = ctx;

	r->upload = NULL;
	arrived(r, e == ERR_NOTFOUND ? ERR_UNREACHABLE : e, e == OK ? "console" : why);
}

static void
dropped(void *ctx, const struct fetch_result *res)
{
	struct relay *r = ctx;

	r->job = NULL;
	arrived(r, res->outcome == FETCH_SENT ? OK : ERR_UNREACHABLE,
	    res->outcome == FETCH_SENT ? res->source : res->why);
}

static uint64_t
rate(const struct relay *r)
{
	return policy_size(policies_effective(r->agent->policies), "mirror.rate_limit");
}

static enum err
to_console(struct relay *r)
{
	char route[320];
	struct upload_order o = { .route = route,
		.path = r->path,
		.rate_limit = rate(r),
		.tries = UPLOAD_TRIES,
		.done = uploaded,
		.ctx = r };

	(void)snprintf(route, sizeof route, "%s/%s", DROPPED_PATH + 1, r->name);
	return upload_start(&r->upload, r->agent, &o);
}

static enum err
to_upstream(struct relay *r, struct fault *f)
{
	static const struct fetch_handlers handlers = { NULL, dropped };
	struct source list[LIMIT_SOURCES];
	struct fetch_send s = {
		.file = r->path, .name = r->ticketed, .sources = list, .rate_limit = rate(r)
	};
	size_t all = agent_sources(r->agent, list, LIMIT_SOURCES, true);

	for (size_t i = 0; i < all; i++)
		if (list[i].ftp != 0)
			list[s.n_sources++] = list[i];
	s.proxy = r->agent->conf->proxy;
	if (s.n_sources == 0)
		return fault_set(f, ERR_UNREACHABLE, "no upstream has an FTP port");
	return fetch_send_start(&r->job, r->agent, &s, &handlers, r, f);
}

static void
send_it(struct relay *r)
{
	struct fault f = { 0 };
	enum err e;

	e = r->agent->conf->dropbox_relay == RELAY_CONSOLE ? to_console(r) : to_upstream(r, &f);
	if (e != OK)
		later(r, f.code == OK ? err_text(e) : fault_text(&f));
}

static void
looked(struct relay *r)
{
	if (r->err != OK) {
		later(r, "the drop box cannot be read");
	} else if (r->name[0] == '\0') {
		r->fails = 0;
		r->why[0] = '\0';
		if (r->news)
			look(r);
		else
			(void)uv_timer_start(&r->timer, on_timer, IDLE_MS, 0);
	} else {
		(void)snprintf(r->path, sizeof r->path, "%s/%s", r->box, r->name);
		if (r->agent->conf->dropbox_relay == RELAY_CONSOLE) {
			send_it(r);
			return;
		}
		(void)snprintf(r->agent_id, sizeof r->agent_id, "%s",
		    r->agent->identity == NULL ? "" : identity_agent(r->agent->identity));
		work(r, NAME);
	}
}

static void
named(struct relay *r)
{
	if (r->err == OK)
		send_it(r);
	else if (r->err == ERR_NOTFOUND)
		look(r); /* somebody took it away meanwhile */
	else
		later(r, "the file in the drop box cannot be read");
}

static void
worked(uv_work_t *w, int status)
{
	struct relay *r = w->data;

	r->busy = false;
	if (ending(r))
		return;
	if (r->step == LOOK) {
		looked(r);
	} else if (r->step == NAME) {
		named(r);
	} else if (r->err != OK) {
		later(r, "the drop box cannot be written");
	} else {
		r->sent_files += r->step == TAKEN;
		r->refused += r->step == SET_ASIDE;
		r->fails = 0;
		look(r);
	}
}

static void
look(struct relay *r)
{
	r->news = false;
	(void)uv_timer_stop(&r->timer);
	if (!r->busy && r->upload == NULL && r->job == NULL)
		work(r, LOOK);
}

enum err
relay_new(struct relay **out, struct agent *a)
{
	struct relay *r = calloc(1, sizeof *r);

	*out = NULL;
	if (r == NULL)
		return ERR_NOMEM;
	r->agent = a;
	r->box = a->conf->serve_dropbox; /* agent.conf only: role_settings.c */
	r->work.data = r->timer.data = r;
	(void)uv_timer_init(&a->loop, &r->timer);
	*out = r;
	return OK;
}

void
relay_start(struct relay *r)
{
	if (r->on || r->closing || r->box[0] == '\0' || r->agent->conf->dropbox_relay == RELAY_OFF)
		return;
	r->on = true;
	r->fails = 0;
	look(r);
}

static void
break_off(struct relay *r)
{
	r->on = false;
	(void)uv_timer_stop(&r->timer);
	if (r->upload != NULL)
		upload_cancel(r->upload);
	if (r->job != NULL)
		fetch_stop(r->job);
}

void
relay_stop(struct relay *r)
{
	break_off(r);
}

/* While a receiver cannot be reached the pause stands: news do not make it reachable. */
void
relay_news(struct relay *r)
{
	r->news = true;
	if (r->on && r->fails == 0)
		look(r);
}

void
relay_close(struct relay *r, void (*closed)(void *ctx), void *ctx)
{
	r->closing = true;
	r->closed = closed;
	r->closed_ctx = ctx;
	break_off(r);
	(void)ending(r);
}

cJSON *
relay_json(const struct relay *r)
{
	static const char *const to[] = { "console", "upstream", "off" };
	cJSON *o = r->box[0] == '\0' ? NULL : cJSON_CreateObject();
	enum err e =
	    o == NULL ? ERR_NOMEM : json_add_string(o, "to", to[r->agent->conf->dropbox_relay]);

	if (e == OK)
		e = json_add_u64(o, "waiting_files", r->waiting_files);
	if (e == OK)
		e = json_add_u64(o, "waiting_bytes", r->waiting_bytes);
	if (e == OK)
		e = json_add_u64(o, "sent", r->sent_files);
	if (e == OK)
		e = json_add_u64(o, "refused", r->refused);
	if (e == OK)
		e = json_add_u64(o, "failed_tries", r->failed);
	if (e == OK && r->why[0] != '\0')
		e = json_add_string(o, "why", r->why);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}
