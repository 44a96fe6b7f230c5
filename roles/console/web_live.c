#include "web_live.h"

#include <stdlib.h>

struct live {
	struct web *w;
};

enum err
live_new(struct live **out, struct web *w)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ERR_NOMEM;
	(*out)->w = w;
	return OK;
}
void
live_tick(struct live *l, uint64_t now_ms)
{
}
void
live_stop(struct live *l)
{
}
void
live_free(struct live *l)
{
	free(l);
}
