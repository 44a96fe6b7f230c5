/* Bundles: which members one may have, and that content under another hash's name is refused. */
#include "base/buf.h"
#include "base/text.h"
#include "update/bundle.h"
#include "update/pack_priv.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

#define HELLO "hello\n"
#define HELLO_SHA "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

static enum err
on_begin(void *arg, const struct bundle_member *m)
{
	return buf_printf(
	    arg, "%c %s %llu\n", m->target ? 't' : 'd', m->file, (unsigned long long)m->size);
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return OK;
}

static enum err
on_end(void *arg, const struct bundle_member *m)
{
	return buf_printf(arg, "end %s\n", m->file);
}

static void
add(struct buf *b, const char *name, const char *content)
{
	uint8_t block[PACK_BLOCK];
	size_t n = strlen(content);

	assert_true(pack_header(block, name, n));
	assert_int_equal(buf_append(b, block, sizeof block), OK);
	memset(block, 0, sizeof block);
	memcpy(block, content, n);
	if (n > 0)
		assert_int_equal(buf_append(b, block, sizeof block), OK);
}

/* Reads it in pieces of `piece` bytes. */
static enum err
read_all(const struct buf *b, size_t piece, struct buf *seen, struct fault *f)
{
	static const struct bundle_sink sink = { on_begin, on_data, on_end };
	struct bundle_reader *r;
	enum err e = bundle_reader_new(&r, "signatures", &sink, seen);

	assert_int_equal(e, OK);
	for (size_t at = 0; e == OK && at < b->len; at += piece)
		e = bundle_reader_feed(
		    r, b->data + at, b->len - at < piece ? b->len - at : piece, f);
	if (e == OK)
		e = bundle_reader_end(r, f);
	bundle_reader_free(r);
	return e;
}

static enum err
one(const char *name, const char *content)
{
	struct buf b, seen;
	struct fault f = { 0 };
	enum err e;
	uint8_t zeros[2 * PACK_BLOCK] = { 0 };

	buf_init(&b, 1u << 20);
	buf_init(&seen, 1u << 16);
	if (strcmp(name, "signatures/metadata/timestamp.json") < 0) {
		add(&b, name, content);
		add(&b, "signatures/metadata/timestamp.json", "{}");
	} else {
		add(&b, "signatures/metadata/timestamp.json", "{}");
		add(&b, name, content);
	}
	assert_int_equal(buf_append(&b, zeros, sizeof zeros), OK);
	e = read_all(&b, b.len, &seen, &f);
	assert_true(e == OK || f.text[0] != '\0');
	buf_free(&b);
	buf_free(&seen);
	return e;
}

static void
names(void **state)
{
	static const struct {
		const char *name, *content;
		enum err want;
	} cases[] = {
		{ "signatures/metadata/1.root.json", "{}", OK },
		{ "signatures/metadata/12.some-role.json", "{}", OK },
		{ "signatures/targets/" HELLO_SHA, HELLO, OK },
		{ "signatures/targets/" HELLO_SHA, "hellO\n", ERR_VERIFY },
		{ "signatures/targets/" HELLO_SHA, "", ERR_VERIFY },
		{ "signatures/targets/" HELLO_SHA "0", HELLO, ERR_PARSE },
		{ "signatures/targets/a.hdb", HELLO, ERR_PARSE },
		{ "signatures/targets/delta/" HELLO_SHA, HELLO, ERR_PARSE },
		{ "signatures/metadata/root.json", "{}", ERR_PARSE },
		{ "signatures/metadata/.root.json", "{}", ERR_PARSE },
		{ "signatures/metadata/01.root.json", "{}", ERR_PARSE },
		{ "signatures/metadata/1..json", "{}", ERR_PARSE },
		{ "signatures/metadata/1.a.b.json", "{}", ERR_PARSE },
		{ "signatures/metadata/1.ROOT.json", "{}", ERR_PARSE },
		{ "signatures/metadata/1.json", "{}", ERR_PARSE },
		{ "signatures/metadata/12345678901234567.root.json", "{}", ERR_PARSE },
		{ "signatures/metadata/1.root.json/x", "{}", ERR_PARSE },
		{ "signatures/metadata", "{}", ERR_PARSE },
		{ "signatures/other/1.root.json", "{}", ERR_PARSE },
		{ "policies/metadata/1.root.json", "{}", ERR_PARSE },
		{ "signatures2/metadata/1.root.json", "{}", ERR_PARSE },
		{ "1.root.json", "{}", ERR_PARSE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (one(cases[i].name, cases[i].content) != cases[i].want)
			fail_msg("%s: %s", cases[i].name,
			    err_text(one(cases[i].name, cases[i].content)));
}

/* The same members whatever the pieces; cut anywhere it is an error. */
static void
pieces(void **state)
{
	struct buf b, seen;
	struct fault f = { 0 };
	uint8_t zeros[2 * PACK_BLOCK] = { 0 };
	const char *want = "d 1.root.json 2\nend 1.root.json\nd timestamp.json 2\n"
			   "end timestamp.json\nt " HELLO_SHA " 6\nend " HELLO_SHA "\n";
	size_t whole;

	(void)state;
	buf_init(&b, 1u << 20);
	buf_init(&seen, 1u << 16);
	add(&b, "signatures/metadata/1.root.json", "{}");
	add(&b, "signatures/metadata/timestamp.json", "{}");
	add(&b, "signatures/targets/" HELLO_SHA, HELLO);
	assert_int_equal(buf_append(&b, zeros, sizeof zeros), OK);
	for (size_t piece = 1; piece < 1200; piece += 7) {
		buf_reset(&seen);
		assert_int_equal(read_all(&b, piece, &seen, &f), OK);
		assert_string_equal(buf_text(&seen), want);
	}
	for (whole = b.len; b.len > 0; b.len -= 64) {
		buf_reset(&seen);
		assert_int_equal(read_all(&b, 512, &seen, &f), b.len == whole ? OK : ERR_PARSE);
	}
	buf_free(&b);
	buf_free(&seen);
}

static void
nothing_without_a_timestamp(void **state)
{
	struct buf b, seen;
	struct fault f = { 0 };
	uint8_t zeros[2 * PACK_BLOCK] = { 0 };

	(void)state;
	buf_init(&b, 1u << 20);
	buf_init(&seen, 1u << 16);
	add(&b, "signatures/metadata/1.root.json", "{}");
	assert_int_equal(buf_append(&b, zeros, sizeof zeros), OK);
	assert_int_equal(read_all(&b, 512, &seen, &f), ERR_PARSE);
	assert_non_null(strstr(fault_text(&f), "timestamp.json"));
	buf_free(&b);
	buf_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(pieces),
		cmocka_unit_test(nothing_without_a_timestamp) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
