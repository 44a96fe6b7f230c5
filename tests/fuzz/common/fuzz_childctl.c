/* The pipe protocol: the first byte says who reads and in which pieces the rest comes. */
#include "proto/childctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err
ignore(void *ctx, const char *type, cJSON *message)
{
	(void)ctx;
	(void)type;
	(void)message;
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault f = { OK, "" };
	struct childctl_reader r;
	enum err e = OK;
	size_t piece, at;

	if (size == 0)
		return 0;
	piece = (data[0] >> 1) + 1u;
	childctl_reader_init(&r, data[0] & 1 ? CHILDCTL_AGENT : CHILDCTL_CHILD);
	for (at = 1; at < size && e == OK; at += piece)
		e = childctl_reader_feed(&r, (const char *)data + at,
		    size - at < piece ? size - at : piece, ignore, NULL, &f);
	if (e == OK)
		e = childctl_reader_end(&r, &f);
	(void)e;
	childctl_reader_free(&r);
	return 0;
}
