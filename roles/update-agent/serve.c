#include "serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/descriptors.h"

#include <string.h>

#define SPARE_DESCRIPTORS 64 /* listeners, loop, log, files of workers */

static enum err
confine(struct serve *s, struct fault *f)
{
	struct confine_path paths[] = {
		{ s->options.root, CONFINE_READ },
		{ s->options.dropbox, CONFINE_READ | CONFINE_WRITE },
	};
	struct confine_spec spec = {
		.paths = paths,
		.path_count = s->options.dropbox[0] != '\0' ? 2 : 1,
		.may_listen = true,
	};
	struct fault why = { 0 };
	enum err e = confine_apply(&spec, &s->confined, &why);

	if (e == ERR_UNSUPPORTED && !s->options.require_confinement) {
		log_warn("confinement.missing", "why=%s", log_q(fault_text(&why)));
		e = OK;
	} else if (e == ERR_UNSUPPORTED) {
		return conf_fault(s->conf, "update-agent", "require_confinement", f,
		    "is on, but %s; set it to no or use a kernel that can", fault_text(&why));
	} else if (e != OK) {
		return fault_set(f, e, "%s", fault_text(&why));
	}
	log_info("confinement", "%s", s->confined.text);
	return e;
}

/* A waiter is a descriptor, a session up to four. What the system allows is taken; too little is
 * said, because it shows as refused clients on the busiest day only. */
static void
take_descriptors(const struct options *o)
{
	uint64_t need = o->max_waiters + 4ull * o->max_sessions + SPARE_DESCRIPTORS;
	uint64_t allowed = descriptors_take(need);

	if (allowed < need)
		log_warn("descriptors.few", "allowed=%llu wanted=%llu remedy=%s",
		    (unsigned long long)allowed, (unsigned long long)need,
		    log_q("raise LimitNOFILE, or lower max_waiters and max_sessions"));
}

enum err
serve_prepare(struct serve *s, struct fault *f)
{
	struct fault why = { 0 };
	enum err e;

	take_descriptors(&s->options);
	e = files_open_root(&s->files, s->options.root, s->options.dropbox[0] != '\0', &why);
	if (e != OK)
		return conf_fault(s->conf, "update-agent", "root", f,
		    "%s; name a folder that exists", fault_text(&why));
	if (s->options.dropbox[0] != '\0')
		e = dropbox_open(&s->box, &s->loop, &s->options, &why);
	if (e != OK)
		return conf_fault(s->conf, "update-agent", "dropbox", f,
		    "%s; make it writable or leave it empty", fault_text(&why));
	if (s->options.warning[0] != '\0')
		log_warn("passive.overlap", "%s", s->options.warning);
	return confine(s, f);
}

static uint64_t
bytes_out(void *ctx)
{
	struct serve *s = ctx;
	uint64_t n = s->ftp != NULL ? ftp_server_stats(s->ftp).bytes_out : 0;

	return n + (s->http != NULL ? http_files_stats(s->http).bytes_out : 0);
}

/* One service on all addresses. A port that is 0 is chosen on the first address and used on the
 * others too. */
static enum err
listen_all(struct serve *s, const char *option, uint16_t port, uint16_t *real, void *part,
    enum err (*listen_one)(void *, const char *, uint16_t, uint16_t *, struct fault *),
    struct fault *f)
{
	const struct options *o = &s->options;
	struct fault why;
	enum err e;
	size_t i;

	*real = port;
	for (i = 0; i < o->listen_count; i++) {
		fault_reset(&why);
		e = listen_one(part, o->listen_hosts[i], *real, real, &why);
		if (e == OK)
			continue;
		/* Nobody asked for IPv6 by name, and this PC has none. */
		if (i > 0 && o->listen_default && e != ERR_BUSY) {
			log_warn("listen.no_ipv6", "why=%s", log_q(fault_text(&why)));
			continue;
		}
		return conf_fault(s->conf, "update-agent", option, f,
		    "%.200s; choose a free port or end what holds it", fault_text(&why));
	}
	return OK;
}

static enum err
listen_ftp(void *part, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	return ftp_server_listen(part, host, port, real, f);
}

static enum err
listen_version(void *part, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	return versions_listen(part, host, port, real, f);
}

static enum err
listen_http(void *part, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	return http_files_listen(part, host, port, real, f);
}

enum err
serve_listen(struct serve *s, bool poll, struct fault *f)
{
	const struct options *o = &s->options;
	enum err e;

	s->started_ms = clock_mono_ms();
	e = ftp_server_new(&s->ftp, &s->loop, o, s->files, s->box, f);
	if (e == OK)
		e = listen_all(s, "ftp_port", o->ftp_port, &s->ftp_port, s->ftp, listen_ftp, f);
	if (e == OK)
		e = versions_new(
		    &s->versions, &s->loop, o, files_root_fd(s->files), bytes_out, s, f);
	if (e == OK)
		e = listen_all(s, "version_port", o->version_port, &s->version_port, s->versions,
		    listen_version, f);
	if (e == OK && o->http_on)
		e = http_files_new(&s->http, &s->loop, o, s->files, f);
	if (e == OK && o->http_on)
		e = listen_all(
		    s, "http_port", o->http_port, &s->http_port, s->http, listen_http, f);
	if (e != OK)
		return e;
	versions_refresh(s->versions);
	if (poll)
		versions_poll(s->versions, o->poll_interval);
	log_info("serve.ready", "root=%s ftp=%u version=%u http=%u", log_q(o->root), s->ftp_port,
	    s->version_port, s->http_port);
	return OK;
}

static void
part_closed(void *ctx)
{
	struct serve *s = ctx;

	if (--s->closing == 0 && s->closed != NULL)
		s->closed(s->ctx);
}

void
serve_stop(struct serve *s, uint64_t drain_ms)
{
	struct ftp_server *ftp = s->ftp;
	struct versions *versions = s->versions;
	struct http_files *http = s->http;

	if (s->stopped)
		return;
	s->stopped = true;
	s->ftp = NULL;
	s->versions = NULL;
	s->http = NULL;
	s->closing = 1 + (ftp != NULL) + (versions != NULL) + (http != NULL);
	log_info("serve.stopping", "drain_ms=%llu", (unsigned long long)drain_ms);
	if (versions != NULL)
		versions_close(versions, part_closed, s);
	if (http != NULL)
		http_files_close(http, drain_ms, part_closed, s);
	if (ftp != NULL)
		ftp_server_close(ftp, drain_ms, part_closed, s);
	part_closed(s);
}

void
serve_free(struct serve *s)
{
	dropbox_close(s->box);
	files_close(s->files);
	s->box = NULL;
	s->files = NULL;
	options_free(&s->options, s->conf);
	s->conf = NULL;
}
