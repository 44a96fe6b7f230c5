/* fuzz_fetch_config.c - the config message of atalaia-fetch. Whatever is accepted keeps the
 * promises of config.h. */
#include "config.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool promise)
{
	if (!promise)
		abort();
}

static void
check(const struct fetch_config *c)
{
	must(c->feed != NULL && strchr(c->feed, '/') == NULL && strcmp(c->feed, "..") != 0);
	must(c->work != NULL && c->work[0] == '/');
	must(c->mode == FETCH_SET ? c->state[0] == '/' : c->root[0] == '/');
	must(c->source_count > 0 && c->keep >= 2);
	for (size_t i = 0; i < c->source_count; i++) {
		const char *url = c->sources[i].url;

		must(strncmp(url, "ftp://", 6) == 0 || strncmp(url, "http", 4) == 0);
		must(strpbrk(url, " @?#\r\n") == NULL && url[strlen(url) - 1] != '/');
	}
	for (size_t i = 0; i < c->reject_count; i++)
		must(strlen(c->reject[i]) == 64);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fetch_config *c;
	struct fault f = { 0 };
	cJSON *tree;

	if (json_parse(&tree, (const char *)p, n, JSON_EVENT, NULL) != OK)
		return 0;
	if (fetch_config_read(&c, tree, &f) == OK) {
		check(c);
		fetch_config_free(c);
	}
	cJSON_Delete(tree);
	return 0;
}
