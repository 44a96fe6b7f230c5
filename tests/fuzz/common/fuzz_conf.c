/* Configuration text against a table with every type. */
#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = { "one", "two", NULL };

struct options {
	char *path, *string, *list;
	bool on;
	uint16_t port;
	uint32_t count, choice;
	uint64_t size, wait;
};

#define AT(member) offsetof(struct options, member)

static const struct conf_option table[] = {
	{ "a", "path", CONF_PATH, AT(path), "/x", "", 0, 0, NULL },
	{ "a", "string", CONF_STRING, AT(string), "", "", 0, 0, NULL },
	{ "a", "list", CONF_LIST, AT(list), "", "", 0, 0, NULL },
	{ "a", "on", CONF_BOOL, AT(on), "no", "", 0, 0, NULL },
	{ "b", "port", CONF_PORT, AT(port), "1", "", 0, 0, NULL },
	{ "b", "count", CONF_U32, AT(count), "5", "", 1, 9, NULL },
	{ "b", "choice", CONF_CHOICE, AT(choice), "one", "", 0, 0, words },
	{ "b", "size", CONF_SIZE, AT(size), "1k", "", 0, 0, NULL },
	{ "b", "wait", CONF_DURATION, AT(wait), "1s", "", 0, 0, NULL },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options o = { 0 };
	struct fault f = { OK, "" };
	struct conf *c;

	if (conf_load_text(&c, &o, table, sizeof table / sizeof *table, "/etc/fuzz.conf",
		(const char *)data, size, &f) == OK)
		conf_free(c);
	return 0;
}
