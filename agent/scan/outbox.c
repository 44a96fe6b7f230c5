#include "outbox.h"

void
outbox_init(struct outbox *o, void (*wake)(void *ctx), void *ctx)
{
	*o = (struct outbox){ .lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.wake = wake,
		.ctx = ctx };
}

void
outbox_free(struct outbox *o)
{
	cJSON *m;

	while ((m = outbox_take(o)) != NULL)
		cJSON_Delete(m);
	(void)pthread_mutex_destroy(&o->lock);
	(void)pthread_cond_destroy(&o->room);
}

static void
put(struct outbox *o, cJSON *take, bool wait)
{
	bool kept;

	if (take == NULL)
		return;
	(void)pthread_mutex_lock(&o->lock);
	while (wait && o->n == OUTBOX_MESSAGES && !o->stopped)
		(void)pthread_cond_wait(&o->room, &o->lock);
	kept = o->n < OUTBOX_MESSAGES && !o->stopped;
	if (kept)
		o->item[(o->first + o->n++) % OUTBOX_MESSAGES] = take;
	(void)pthread_mutex_unlock(&o->lock);
	if (!kept)
		cJSON_Delete(take);
	else
		o->wake(o->ctx);
}

void
outbox_put(struct outbox *o, cJSON *take)
{
	put(o, take, true);
}

void
outbox_offer(struct outbox *o, cJSON *take)
{
	put(o, take, false);
}

cJSON *
outbox_take(struct outbox *o)
{
	cJSON *m = NULL;

	(void)pthread_mutex_lock(&o->lock);
	if (o->n > 0) {
		m = o->item[o->first];
		o->first = (o->first + 1) % OUTBOX_MESSAGES;
		o->n--;
		(void)pthread_cond_signal(&o->room);
	}
	(void)pthread_mutex_unlock(&o->lock);
	return m;
}

void
outbox_stop(struct outbox *o)
{
	(void)pthread_mutex_lock(&o->lock);
	o->stopped = true;
	(void)pthread_cond_broadcast(&o->room);
	(void)pthread_mutex_unlock(&o->lock);
}
