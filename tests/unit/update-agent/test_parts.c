/* The small pure parts: passive ports, spreading, listings, import. */
#include "eserv.h"
#include "ftp_passive.h"
#include "listing.h"
#include "os/sock.h"
#include "test.h"
#include "versions.h"

static struct addr
ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(&a, text, strlen(text)), OK);
	return a;
}

static void
service_ports_are_never_taken(void **state)
{
	struct options o = { .passive_first = 3331,
		.passive_count = 4,
		.reserved = { 3333, 2021 },
		.reserved_count = 2 };
	struct addr local = ip("127.0.40.9");
	int fds[4];
	uint16_t port;
	size_t i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(passive_listen(&o, &local, &fds[i], &port), OK);
		assert_true(port >= 3331 && port <= 3334 && port != 3333);
	}
	assert_int_equal(passive_listen(&o, &local, &fds[3], &port), ERR_BUSY);
	for (i = 0; i < 3; i++)
		sock_close(fds[i]);
}

static void
ports_are_spread(void **state)
{
	struct options o = { .passive_first = 24000, .passive_count = 50 };
	struct addr local = ip("127.0.40.9");
	bool seen[50] = { false };
	unsigned different = 0, i;
	uint16_t port;
	int fd;

	for (i = 0; i < 200; i++) {
		assert_int_equal(passive_listen(&o, &local, &fd, &port), OK);
		assert_true(port >= 24000 && port < 24050);
		different += !seen[port - 24000];
		seen[port - 24000] = true;
		sock_close(fd);
	}
	assert_true(different > 30);
}

static void
addresses_of_227(void **state)
{
	struct options o = { 0 };
	struct addr local = ip("10.0.0.5"), inside = ip("10.9.9.9"), outside = ip("198.51.100.7");
	struct addr v6 = ip("fe80::1");
	uint8_t out[4];

	assert_int_equal(cidr_list_parse(&o.local_networks, "10.0.0.0/8", NULL), OK);
	assert_int_equal(passive_address(&o, &local, &outside, out), OK);
	assert_memory_equal(out, local.ip, 4);
	o.has_passive_address = true;
	o.passive_address = ip("203.0.113.9");
	assert_int_equal(passive_address(&o, &local, &outside, out), OK);
	assert_memory_equal(out, o.passive_address.ip, 4);
	assert_int_equal(passive_address(&o, &local, &inside, out), OK);
	assert_memory_equal(out, local.ip, 4);
	assert_int_equal(passive_address(&o, &v6, &v6, out), ERR_UNSUPPORTED);
	cidr_list_free(&o.local_networks);
}

static void
data_peers(void **state)
{
	static const struct {
		const char *control, *data;
		bool same, subnet;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1", true, true },
		{ "10.0.0.1", "10.0.0.2", false, true },
		{ "10.0.0.1", "10.0.1.1", false, false },
		{ "10.0.0.1", "fe80::1", false, false },
		{ "2001:db8::1", "2001:db8::1", true, true },
		{ "2001:db8::1", "2001:db8::ffff:1", false, true },
		{ "2001:db8::1", "2001:db8:0:1::1", false, false },
		{ "10.0.0.1", "::ffff:10.0.0.1", true, true },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr a = ip(cases[i].control), b = ip(cases[i].data);

		assert_int_equal(passive_peer_ok(DATA_PEER_SAME, &a, &b), cases[i].same);
		assert_int_equal(passive_peer_ok(DATA_PEER_SUBNET, &a, &b), cases[i].subnet);
		assert_true(passive_peer_ok(DATA_PEER_ANY, &a, &b));
	}
}

static void
downloads_are_spread(void **state)
{
	struct spread s = { .budget = 1000, .expected = 5000 };
	uint64_t i;

	for (i = 0; i < 10; i++)
		assert_int_equal(spread_take(&s, 100000), 5 * i);
	assert_int_equal(spread_take(&s, 200000), 0); /* an idle line forgets */
	for (i = 0; i < 1000; i++)
		(void)spread_take(&s, 200000);
	assert_int_equal(spread_take(&s, 200000), 3600);
	spread_learn(&s, 100000, 3); /* too few */
	assert_int_equal(s.expected, 5000);
	spread_learn(&s, 100000, 10);
	assert_int_equal(s.expected, 10000);
	spread_learn(&s, 10, 10);
	assert_int_equal(s.expected, 4096);
	s.budget = 0;
	assert_int_equal(spread_take(&s, 0), 0);
}

static void
listing_lines(void **state)
{
	struct listing_entry file = { .name = "a b", .size = 5, .mtime = 1795529160 };
	struct listing_entry dir = { .name = "d", .is_folder = true, .mtime = 0 };
	struct listing_form form = { .form = LISTING_LONG, .now = 1795529200, .facts = FACT_ALL };
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(listing_line(&out, &form, &file), OK);
	assert_int_equal(listing_line(&out, &form, &dir), OK);
	form.form = LISTING_FACTS;
	assert_int_equal(listing_line(&out, &form, &file), OK);
	form.facts = FACT_PERM;
	assert_int_equal(listing_line(&out, &form, &dir), OK);
	form.form = LISTING_NAMES;
	form.prefix = "x/";
	assert_int_equal(listing_line(&out, &form, &file), OK);
	assert_string_equal(buf_text(&out),
	    "-r--r--r--   1 ftp      ftp                 5 Nov 24 14:06 a b\r\n"
	    "dr-xr-xr-x   2 ftp      ftp              4096 Jan  1  1970 d\r\n"
	    "type=file;size=5;modify=20261124140600;perm=r; a b\r\n"
	    "perm=el; d\r\n"
	    "x/a b\r\n");
	buf_free(&out);
}

static void
eserv_import(void **state)
{
	static const struct {
		const char *ini, *want; /* want NULL: refused */
	} cases[] = {
		{ "[General]\nStartingPassivePort=4000\nNoofPassivePorts=10\n",
		    "# from f\n[update-agent]\npassive_first=4000\npassive_count=10\n" },
		{ "[Other]\nStartingPassivePort=4000\n[general]\r\nADDPASSIVEPORT = \"1\"\r\n"
		  "startingpassiveport=1\r\nNoofPassivePorts=2",
		    "# from f\n[update-agent]\npassive_first=1\npassive_count=2\n" },
		{ "", "# from f\n[update-agent]\n# AddPassivePort is off: any free port of the "
		      "system\n"
		      "passive_first=0\n" },
		{ "[General]\nStartingPassivePort=-1\n", NULL },
		{ "[General]\nSer_Pasv_IPAddr=1.2.3\n", NULL },
		{ "[General]\nSer_Pasv_IPAddr=\n; x\n# y\nnonsense\n",
		    "# from f\n[update-agent]\n# AddPassivePort is off: any free port of the "
		    "system\n"
		    "passive_first=0\n" },
	};
	struct buf out;
	size_t i;

	buf_init(&out, 4096);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = eserv_convert(&out, "f", cases[i].ini, strlen(cases[i].ini), NULL);

		assert_int_equal(e, cases[i].want != NULL ? OK : ERR_INVAL);
		if (e == OK)
			assert_string_equal(buf_text(&out), cases[i].want);
		buf_reset(&out);
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_ports_are_never_taken),
		cmocka_unit_test(ports_are_spread),
		cmocka_unit_test(addresses_of_227),
		cmocka_unit_test(data_peers),
		cmocka_unit_test(downloads_are_spread),
		cmocka_unit_test(listing_lines),
		cmocka_unit_test(eserv_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
