/* feed_files.c - GET /v1/feeds/policies/...: the files of the policies feed for enrolled agents, so
 * that an organisation can keep them off the mirrors that everybody reads (DESIGN section 11). */
#include "agent_api.h"
#include "base/log.h"
#include "base/text.h"
#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_NAME 512

struct open_job {
	uv_work_t work;
	struct http_req *req; /* NULL: the client went away */
	int root, fd;
	uint64_t size;
	enum err err;
	char name[LIMIT_NAME];
};

static void
open_run(uv_work_t *work)
{
	struct open_job *j = work->data;
	struct stat st;

	j->err = beneath_open(j->root, j->name, O_RDONLY | O_NONBLOCK, 0, &j->fd);
	if (j->err != OK)
		return;
	if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(j->fd);
		j->fd = -1;
		j->err = ERR_NOTFOUND;
		return;
	}
	j->size = (uint64_t)st.st_size;
}

static void
open_done(uv_work_t *work, int status)
{
	struct open_job *j = work->data;
	const char *type =
	    text_ends(j->name, ".json") ? "application/json" : "application/octet-stream";

	if (j->req == NULL || status != 0) {
		if (j->fd >= 0)
			(void)close(j->fd);
	} else if (j->err != OK) {
		http_on_cancel(j->req, NULL, NULL);
		http_problem(j->req, 404, "not-found", "the feed has no such file");
	} else {
		http_on_cancel(j->req, NULL, NULL);
		http_reply_file(j->req, 200, type, j->fd, 0, j->size);
	}
	free(j);
}

static void
open_cancel(struct http_req *req, void *ctx)
{
	struct open_job *j = ctx;

	(void)req;
	j->req = NULL;
}

void
on_feed_file(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	const char *name = http_param(req, 0);
	struct open_job *j;

	if (!text_is_target_path(name, strlen(name)) || strlen(name) >= LIMIT_NAME) {
		http_problem(req, 404, "not-found", "the feed has no such file");
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL || text_copy(j->name, sizeof(j->name), name, strlen(name)) != OK) {
		free(j);
		http_problem(req, 503, "busy", "memory ran out");
		return;
	}
	j->work.data = j;
	j->req = req;
	j->fd = -1;
	j->root = c->feed_root;
	http_on_cancel(req, open_cancel, j);
	if (uv_queue_work(c->loop, &j->work, open_run, open_done) != 0) {
		j->err = ERR_NOMEM;
		open_done(&j->work, 0);
	}
}
