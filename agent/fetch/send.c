/* send.c - one file into a drop box. With a ticket in its name a transfer that broke goes on where
 * it ended; what the box has taken (226) is durable there. */
#include "job.h"

#include "proto/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
refuse(struct job *j, const struct fetch_source *s, const struct download *it)
{
	struct refusal why = { .source = s->name,
		.url = it->url,
		.file = j->config->name,
		.rule = "send",
		.error = it->result,
		.text = it->text };

	report_refuse(j->report, &why);
}

/* OK: it is there. ERR_CANCELED ends the run; every other error is this source's. */
static enum err
send_to(struct job *j, const struct fetch_source *s, int fd, uint64_t size)
{
	struct download it = {
		.fd = fd, .upload = true, .limit = size, .resume = ticket_in_name(j->config->name)
	};
	struct report *r = j->report;
	enum err e;

	if (snprintf(it.url, sizeof it.url, "%s/%s", s->url, j->config->name) >= (int)sizeof it.url)
		return ERR_TOOBIG;
	progress_phase(j->progress, PHASE_SEND, j->config->name, s->name);
	j->batch_bytes = size;
	j->batch_from = j->received;
	e = downloader_run(j->downloader, &it, 1);
	r->wire += it.wire;
	if (e == OK && it.result == OK) {
		(void)snprintf(r->source, sizeof r->source, "%s", s->name);
		(void)snprintf(r->url, sizeof r->url, "%s", s->url);
		return OK;
	}
	if (e == OK && it.result != ERR_CANCELED)
		refuse(j, s, &it);
	return e != OK ? e : it.result;
}

enum err
job_send(struct job *j, struct fault *f)
{
	const struct fetch_config *c = j->config;
	int fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	enum err e = ERR_UNREACHABLE;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", c->file);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return fault_set(f, ERR_INVAL, "%s is no plain file", c->file);
	}
	for (size_t i = 0; e != OK && e != ERR_CANCELED && i < c->source_count; i++)
		e = send_to(j, &c->sources[i], fd, (uint64_t)st.st_size);
	(void)close(fd);
	if (e == OK)
		j->report->outcome = OUTCOME_SENT;
	else if (e != ERR_CANCELED)
		e = fault_set(f, ERR_UNREACHABLE, "no drop box has taken %s", c->name);
	return e;
}
