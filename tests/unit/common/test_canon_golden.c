/* The canonical form against tests/golden/canonical.txt, which the web console's canonical.js is
 * held to as well. */
#include "base/json.h"
#include "update/canon.h"

#include "test.h"

#include <stdio.h>

#define LINE 4096

/* "refused" stands for: no canonical form. */
static void
one(const char *in, const char *want)
{
	struct buf b;
	cJSON *t;

	buf_init(&b, LINE);
	assert_int_equal(json_parse(&t, in, strlen(in), JSON_EVENT, NULL), OK);
	if (strcmp(want, "refused") == 0) {
		assert_int_equal(canon_json(t, &b, NULL), ERR_PARSE);
	} else {
		assert_int_equal(canon_json(t, &b, NULL), OK);
		assert_string_equal(buf_text(&b), want);
	}
	cJSON_Delete(t);
	buf_free(&b);
}

static void
golden(void **state)
{
	FILE *f = fopen("tests/golden/canonical.txt", "r");
	char line[LINE], *tab;
	unsigned n = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		tab = strchr(line, '\t');
		assert_non_null(tab);
		*tab = '\0';
		one(line, tab + 1);
		n++;
	}
	assert_int_equal(fclose(f), 0);
	assert_true(n >= 12);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
