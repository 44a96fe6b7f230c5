/* The pipe protocol's order: one golden conversation a row. */
#include "base/limits.h"
#include "proto/childctl.h"
#include "test.h"

static enum err
collect(void *ctx, const char *type, cJSON *message)
{
	struct buf *seen = ctx;

	(void)message;
	return buf_printf(seen, "%s ", type);
}

static enum err
refuse(void *ctx, const char *type, cJSON *message)
{
	(void)ctx;
	(void)type;
	(void)message;
	return ERR_INVAL;
}

#define HELLO "{\"type\":\"hello\"}\n"
#define RESULT "{\"type\":\"result\"}\n"
#define CONFIG "{\"type\":\"config\"}\n"
#define STOP "{\"type\":\"stop\"}\n"

static const struct {
	enum childctl_side side;
	const char *in, *seen;
	enum err want, at_end;
} cases[] = {
	{ CHILDCTL_AGENT, HELLO RESULT, "hello result ", OK, OK },
	{ CHILDCTL_AGENT, HELLO "{\"type\":\"progress\"}\n" RESULT, "hello progress result ", OK,
	    OK },
	{ CHILDCTL_AGENT, RESULT, "", ERR_STATE, OK },
	{ CHILDCTL_AGENT, HELLO HELLO, "hello ", ERR_STATE, OK },
	{ CHILDCTL_AGENT, HELLO RESULT RESULT, "hello result ", ERR_STATE, OK },
	{ CHILDCTL_AGENT, HELLO CONFIG, "hello ", ERR_STATE, OK },
	{ CHILDCTL_AGENT, HELLO "{\"type\":\"Ready\"}\n", "hello ", ERR_STATE, OK },
	{ CHILDCTL_AGENT, HELLO "{\"type\":", "hello ", OK, ERR_PARSE },
	{ CHILDCTL_AGENT, HELLO "{\"type\":7}\n", "hello ", ERR_PARSE, OK },
	{ CHILDCTL_AGENT, "\n", "", ERR_PARSE, OK },
	{ CHILDCTL_CHILD, CONFIG "{\"type\":\"changed\"}\n" STOP, "config changed stop ", OK, OK },
	{ CHILDCTL_CHILD, STOP, "stop ", OK, OK },
	{ CHILDCTL_CHILD, CONFIG CONFIG, "config ", ERR_STATE, OK },
	{ CHILDCTL_CHILD, CONFIG STOP "{\"type\":\"status\"}\n", "config stop ", ERR_STATE, OK },
	{ CHILDCTL_CHILD, "{\"type\":\"config\",\"type\":\"stop\"}\n", "", ERR_PARSE, OK },
};

static void
conversation(size_t i, size_t piece)
{
	size_t n = strlen(cases[i].in), at;
	struct fault f = { OK, "" };
	struct childctl_reader r;
	enum err e = OK;
	struct buf seen;

	buf_init(&seen, 1000);
	childctl_reader_init(&r, cases[i].side);
	for (at = 0; at < n && e == OK; at += piece)
		e = childctl_reader_feed(
		    &r, cases[i].in + at, n - at < piece ? n - at : piece, collect, &seen, &f);
	assert_int_equal(e, cases[i].want);
	assert_string_equal(buf_text(&seen), cases[i].seen);
	if (e == OK)
		assert_int_equal(childctl_reader_end(&r, &f), cases[i].at_end);
	if (e != OK)
		assert_true(f.text[0] != '\0');
	childctl_reader_free(&r);
	buf_free(&seen);
}

static void
order_is_a_table(void **state)
{
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++)
		for (piece = 1; piece <= strlen(cases[i].in); piece++)
			conversation(i, piece);
}

static void
long_lines_and_refusals_are_fatal(void **state)
{
	struct childctl_reader r;
	char *big = malloc(LIMIT_CHILD_LINE + 1);

	(void)state;
	assert_non_null(big);
	memset(big, ' ', LIMIT_CHILD_LINE + 1);
	childctl_reader_init(&r, CHILDCTL_AGENT);
	assert_int_equal(childctl_reader_feed(&r, big, LIMIT_CHILD_LINE, refuse, NULL, NULL), OK);
	assert_int_equal(childctl_reader_feed(&r, big, 1, refuse, NULL, NULL), ERR_TOOBIG);
	childctl_reader_free(&r);
	childctl_reader_init(&r, CHILDCTL_AGENT);
	assert_int_equal(
	    childctl_reader_feed(&r, HELLO, strlen(HELLO), refuse, NULL, NULL), ERR_INVAL);
	childctl_reader_free(&r);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_a_table),
		cmocka_unit_test(long_lines_and_refusals_are_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
