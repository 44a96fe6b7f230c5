/* progress.c - see progress.h */
#include "progress.h"

#include "base/json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GAP_MS 250

struct progress {
	pthread_mutex_t lock;
	void (*wake)(void *arg);
	void *arg;
	enum phase phase;
	char file[128], source[64];
	uint64_t done, total, sent_at;
	bool news;
};

static const char *const words[] = { "metadata", "download", "delta", "verify", "stage", "publish",
	"send" };

enum err
progress_new(struct progress **out, void (*wake)(void *arg), void *arg)
{
	struct progress *p = calloc(1, sizeof *p);

	*out = NULL;
	if (p == NULL)
		return ERR_NOMEM;
	p->wake = wake;
	p->arg = arg;
	if (pthread_mutex_init(&p->lock, NULL) != 0) {
		free(p);
		return ERR_NOMEM;
	}
	*out = p;
	return OK;
}

void
progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Names come from checked targets and configuration; anything else would spoil the JSON line. */
static void
keep(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	if (src == NULL)
		return;
	for (; *src != '\0' && n + 1 < size; src++)
		dst[n++] = *src >= 0x20 && *src < 0x7f ? *src : '?';
	dst[n] = '\0';
}

void
progress_phase(struct progress *p, enum phase phase, const char *file, const char *source)
{
	(void)pthread_mutex_lock(&p->lock);
	p->phase = phase;
	p->done = p->total = 0;
	keep(p->file, sizeof p->file, file);
	keep(p->source, sizeof p->source, source);
	p->news = true;
	(void)pthread_mutex_unlock(&p->lock);
	p->wake(p->arg);
}

void
progress_amount(struct progress *p, uint64_t done, uint64_t total)
{
	(void)pthread_mutex_lock(&p->lock);
	p->done = done;
	p->total = total;
	p->news = true;
	(void)pthread_mutex_unlock(&p->lock);
	p->wake(p->arg);
}

static cJSON *
message(const struct progress *p)
{
	cJSON *m = cJSON_CreateObject();

	if (m != NULL && json_add_string(m, "type", "progress") == OK &&
	    json_add_string(m, "phase", words[p->phase]) == OK &&
	    json_add_string(m, "file", p->file) == OK && json_add_u64(m, "done", p->done) == OK &&
	    json_add_u64(m, "total", p->total) == OK &&
	    json_add_string(m, "source", p->source) == OK)
		return m;
	cJSON_Delete(m);
	return NULL;
}

cJSON *
progress_take(struct progress *p, uint64_t now_ms, unsigned *wait_ms)
{
	cJSON *m = NULL;
	uint64_t age;

	(void)pthread_mutex_lock(&p->lock);
	age = now_ms - p->sent_at;
	*wait_ms = p->news && age < GAP_MS ? (unsigned)(GAP_MS - age) : 0;
	if (p->news && *wait_ms == 0) {
		m = message(p);
		p->news = false;
		p->sent_at = now_ms;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return m;
}
