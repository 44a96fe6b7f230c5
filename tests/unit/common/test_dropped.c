/* Files that travel through drop boxes: what proves its sender, and everything that does not. */
#include "base/clock.h"
#include "net_world.h"
#include "proto/dropped.h"
#include "test.h"

#define AGENT "0193a4f0-7b1c-7000-8000-0000000000aa"
#define TASK "01890000-0000-7000-8000-00000000000a"

static struct world_fleet ours, others;

static int
make_fleets(void **state)
{
	(void)state;
	world_fleet_new(&ours, "example");
	world_fleet_new(&others, "other");
	return 0;
}

static int
drop_fleets(void **state)
{
	(void)state;
	world_fleet_free(&ours);
	world_fleet_free(&others);
	return 0;
}

static struct dropped
sample(void)
{
	struct dropped d = { .agent = AGENT, .task = TASK, .name = "mwav.log", .size = 5 };

	memset(d.sha256, 'a', 64);
	return d;
}

static void
seal(struct buf *out, const struct dropped *d, const struct world_cert *by, const char *key)
{
	struct fault f = { 0 };

	buf_init(out, 65536);
	if (dropped_seal(out, d, by->cert, key, &f) != OK)
		fail_msg("%s", fault_text(&f));
	assert_int_equal(buf_puts(out, "bytes"), OK);
}

static enum err
open_it(struct dropped *d, size_t *head, const struct buf *b, int64_t now)
{
	struct pki_trust t = { .ca_pem = ours.ca };
	struct fault f = { 0 };
	enum err e = dropped_open(d, head, buf_text(b), b->len, &t, "example", now, &f);

	assert_true(e == OK || fault_text(&f)[0] != '\0');
	return e;
}

static void
a_sealed_file_opens(void **state)
{
	struct dropped d = sample(), back;
	struct buf b;
	size_t head = 0;

	(void)state;
	seal(&b, &d, &ours.agent, ours.agent.key);
	assert_int_equal(open_it(&back, &head, &b, clock_wall_ms()), OK);
	assert_string_equal(back.agent, AGENT);
	assert_string_equal(back.task, TASK);
	assert_string_equal(back.name, "mwav.log");
	assert_int_equal(back.size, 5);
	assert_string_equal(buf_text(&b) + head, "bytes");
	buf_free(&b);
}

static void
what_is_not_signed_by_its_sender_does_not(void **state)
{
	struct dropped d = sample(), back;
	struct buf b;
	size_t head;

	(void)state;
	seal(&b, &d, &ours.agent, ours.console.key); /* the key is not the certificate's */
	assert_int_not_equal(open_it(&back, &head, &b, clock_wall_ms()), OK);
	buf_free(&b);
	seal(&b, &d, &ours.console, ours.console.key); /* no agent */
	assert_int_not_equal(open_it(&back, &head, &b, clock_wall_ms()), OK);
	buf_free(&b);
	seal(&b, &d, &others.agent, others.agent.key); /* another organisation's, same name */
	assert_int_not_equal(open_it(&back, &head, &b, clock_wall_ms()), OK);
	buf_free(&b);
	d.agent[0] = '1'; /* in somebody else's name */
	seal(&b, &d, &ours.agent, ours.agent.key);
	assert_int_not_equal(open_it(&back, &head, &b, clock_wall_ms()), OK);
	buf_free(&b);
	d = sample();
	seal(&b, &d, &ours.agent, ours.agent.key);
	assert_int_equal(open_it(&back, &head, &b, clock_wall_ms() + 3650ll * DAY), ERR_EXPIRED);
	buf_free(&b);
}

static void
a_member_that_is_too_long_is_named(void **state)
{
	static const char line[] =
	    DROPPED_MAGIC "{\"certificate\":\"x\",\"sig\":\"00\",\"signed\":{\"_type\":\"dropped\","
			  "\"agent\":\"01890000-0000-7000-8000-00000000000a-and-more-than-any-"
			  "agent-ever-had-in-its-name\"}}\n";
	struct pki_trust none = { .ca_pem = NULL };
	struct fault f = { OK, "" };
	struct dropped back;
	size_t head;

	(void)state;
	assert_int_not_equal(
	    dropped_open(&back, &head, line, sizeof(line) - 1, &none, "example", 0, &f), OK);
	assert_non_null(strstr(fault_text(&f), "'agent'"));
}

/* Bytes of the line changed one by one: never another meaning. */
static void
no_changed_byte_passes(void **state)
{
	struct dropped d = sample(), back;
	struct buf b;
	size_t head, i, step = 7;

	(void)state;
	seal(&b, &d, &ours.agent, ours.agent.key);
	for (i = 0; i + 6 < b.len; i += step) {
		b.data[i] ^= 1;
		if (open_it(&back, &head, &b, clock_wall_ms()) == OK) {
			assert_string_equal(back.agent, d.agent); /* a letter of the PEM's frame */
			assert_string_equal(back.sha256, d.sha256);
			assert_int_equal(back.size, d.size);
		}
		b.data[i] ^= 1;
	}
	for (i = 0; i + 6 < b.len; i += 13) { /* cut */
		struct buf cut = { .data = b.data, .len = i, .max = b.max };

		assert_int_not_equal(open_it(&back, &head, &cut, clock_wall_ms()), OK);
	}
	buf_free(&b);
}

static void
plain_files_are_not_sealed(void **state)
{
	struct dropped back;
	struct buf b;
	size_t head;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(open_it(&back, &head, &b, 0), ERR_NOTFOUND);
	assert_int_equal(buf_puts(&b, "some log\n"), OK);
	assert_int_equal(open_it(&back, &head, &b, 0), ERR_NOTFOUND);
	buf_reset(&b);
	assert_int_equal(buf_puts(&b, DROPPED_MAGIC "{}\n"), OK);
	assert_int_equal(open_it(&back, &head, &b, 0), ERR_PARSE);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_file_opens),
		cmocka_unit_test(what_is_not_signed_by_its_sender_does_not),
		cmocka_unit_test(a_member_that_is_too_long_is_named),
		cmocka_unit_test(no_changed_byte_passes),
		cmocka_unit_test(plain_files_are_not_sealed),
	};

	return cmocka_run_group_tests(tests, make_fleets, drop_fleets);
}
