/* test_addr.c - addresses, lists, URLs and per-source counting. */
#include "net/addr.h"
#include "net/peers.h"

#include "test.h"

#include <netinet/in.h>
#include <stdio.h>

static struct addr
ip(const char *s)
{
	struct addr a;

	if (addr_parse_ip(&a, s, strlen(s)) != OK)
		fail_msg("%s", s);
	return a;
}

static void
test_ip(void **state)
{
	static const char *const good[][2] = {
		{ "1.2.3.4", "1.2.3.4" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::1", "::1" },
		{ "::", "::" },
		{ "fe80::1", "fe80::1" },
		{ "::ffff:10.0.0.1", "10.0.0.1" },
		{ "2001:DB8::A", "2001:db8::a" },
	};
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"256.1.1.1",
		"01.2.3.4",
		"1.02.3.4",
		"127.1",
		"0x7f.0.0.1",
		"1.2.3.4 ",
		" 1.2.3.4",
		"::1%lo",
		"[::1]",
		"1:2",
		"g::1",
		"localhost",
		"1.2.3.4:80",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999",
	};
	char text[ADDR_TEXT];
	struct addr a;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		a = ip(good[i][0]);
		assert_string_equal(addr_format_ip(text, &a), good[i][1]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (addr_parse_ip(&a, bad[i], strlen(bad[i])) == OK)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(addr_parse_ip(&a, "1.2.3.4\0x", 9), ERR_PARSE);
}

static void
test_hostport(void **state)
{
	static const struct {
		const char *in, *host;
		int port;
	} cases[] = {
		{ "example.org", "example.org", 99 },
		{ "example.org:1", "example.org", 1 },
		{ "1.2.3.4:65535", "1.2.3.4", 65535 },
		{ "[::1]:80", "::1", 80 },
		{ "[::1]", "::1", 99 },
		{ "::1", "::1", 99 },
		{ "pc_1-x:2", "pc_1-x", 2 },
		{ "a.b.:3", "a.b.", 3 },
		{ "", NULL, 0 },
		{ ":80", NULL, 0 },
		{ "a:", NULL, 0 },
		{ "a:0", NULL, 0 },
		{ "a:65536", NULL, 0 },
		{ "a:+1", NULL, 0 },
		{ "a:01", NULL, 0 },
		{ "a b", NULL, 0 },
		{ "a/b:1", NULL, 0 },
		{ "-a", NULL, 0 },
		{ ".a", NULL, 0 },
		{ "a..b", NULL, 0 },
		{ "1.2.3", NULL, 0 },
		{ "1", NULL, 0 },
		{ "[::1", NULL, 0 },
		{ "[1.2.3.4]", NULL, 0 },
		{ "[::1]x", NULL, 0 },
		{ "[::1]:", NULL, 0 },
		{ "a@b", NULL, 0 },
		{ "a:1:2", NULL, 0 },
		{ "\xc3\xa9", NULL, 0 },
	};
	char host[ADDR_HOST];
	uint16_t port;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault f = { 0 };
		enum err e = addr_parse_hostport(
		    cases[i].in, strlen(cases[i].in), 99, false, host, &port, &f);

		if ((e == OK) != (cases[i].host != NULL) ||
		    (e == OK && (strcmp(host, cases[i].host) != 0 || port != cases[i].port)))
			fail_msg("'%s': %d %s %u", cases[i].in, (int)e, host, port);
		assert_true(e == OK || f.text[0] != '\0');
	}
	assert_int_equal(addr_parse_hostport("a:0", 3, 1, true, host, &port, NULL), OK);
	assert_int_equal(port, 0);
}

static void
test_loopback(void **state)
{
	struct addr a = ip("127.9.9.9"), b = ip("::1"), c = ip("128.0.0.1"),
		    d = ip("::ffff:127.0.0.1"), e = ip("::2");

	assert_true(addr_is_loopback(&a) && addr_is_loopback(&b) && addr_is_loopback(&d));
	assert_false(addr_is_loopback(&c) || addr_is_loopback(&e));
	assert_true(host_is_loopback("localhost") && host_is_loopback("LOCALHOST") &&
		    host_is_loopback("127.0.0.1") && host_is_loopback("[::1]"));
	assert_false(host_is_loopback("localhost.evil") || host_is_loopback("") ||
		     host_is_loopback("127.0.0.1.nip.io") || host_is_loopback("[]"));
}

static void
test_sockaddr(void **state)
{
	static const char *const texts[] = { "10.1.2.3", "2001:db8::1" };
	struct sockaddr_storage ss;
	char text[ADDR_TEXT];
	struct addr a, b;
	socklen_t len;
	size_t i;

	for (i = 0; i < 2; i++) {
		a = ip(texts[i]);
		a.port = 8080;
		assert_int_equal(addr_to_sockaddr(&a, &ss, &len), OK);
		assert_int_equal(addr_from_sockaddr(&b, (struct sockaddr *)&ss), OK);
		assert_true(addr_same_ip(&a, &b));
		assert_int_equal(b.port, 8080);
	}
	assert_string_equal(addr_format(text, &b), "[2001:db8::1]:8080");
	a.family = ADDR_UNIX;
	assert_string_equal(addr_format(text, &a), "unix");
	assert_int_equal(addr_to_sockaddr(&a, &ss, &len), ERR_UNSUPPORTED);
}

static void
test_cidr(void **state)
{
	static const char *const bad[] = { "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "/8",
		"10.0.0.0/8/8", "x", "::1/129", "10.0.0.0/-1", "fe80::1/10" };
	struct cidr_list l;
	struct cidr c;
	struct addr a;
	size_t i;

	assert_int_equal(
	    cidr_list_parse(
		&l, " 10.0.0.0/8, 192.168.1.0/24\n2001:db8::/33 127.0.0.1 0.0.0.0/32 ", NULL),
	    OK);
	assert_int_equal(l.n, 5);
	assert_true(cidr_list_match(&l, (a = ip("10.255.0.1"), &a)));
	assert_true(cidr_list_match(&l, (a = ip("::ffff:10.1.1.1"), &a)));
	assert_true(cidr_list_match(&l, (a = ip("192.168.1.77"), &a)));
	assert_false(cidr_list_match(&l, (a = ip("192.168.2.1"), &a)));
	assert_true(cidr_list_match(&l, (a = ip("2001:db8:7fff::1"), &a)));
	assert_false(cidr_list_match(&l, (a = ip("2001:db8:8000::1"), &a)));
	assert_false(cidr_list_match(&l, (a = ip("11.0.0.1"), &a)));
	cidr_list_free(&l);
	assert_int_equal(cidr_list_parse(&l, "", NULL), OK);
	assert_false(cidr_list_match(&l, (a = ip("10.0.0.1"), &a)));
	assert_int_equal(cidr_list_parse(&l, "10.0.0.0/8, nonsense", NULL), ERR_PARSE);
	assert_int_equal(l.n, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cidr_parse(&c, bad[i], strlen(bad[i]), NULL) == OK)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(cidr_parse(&c, "0.0.0.0/0", 9, NULL), OK);
	assert_true(cidr_match(&c, (a = ip("8.8.8.8"), &a)));
	assert_false(cidr_match(&c, (a = ip("::1"), &a)));
}

static void
test_url(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "http://h", "http h 80 /" },
		{ "HTTPS://h:1/x?y", "https h 1 /x?y" },
		{ "ftp://[::1]:2021/signatures", "ftp ::1 2021 /signatures" },
		{ "ftp://h/", "ftp h 21 /" },
		{ "file:///etc/passwd", NULL },
		{ "http:/h", NULL },
		{ "http://", NULL },
		{ "http://u@h/", NULL },
		{ "http://u:p@h/", NULL },
		{ "http://h#f", NULL },
		{ "http://h /", NULL },
		{ "http://h?q", NULL },
		{ "http://::1/", NULL },
		{ "http://h:0/", NULL },
		{ "http://h\\x", NULL },
		{ "gopher://h/", NULL },
		{ "", NULL },
		{ "//h/", NULL },
		{ "http://h:80:80/", NULL },
		{ "http://h/\xc3\xa9", NULL },
	};
	char got[2000];
	struct url u;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = url_parse(&u, cases[i].in, strlen(cases[i].in), NULL);

		if ((e == OK) != (cases[i].out != NULL))
			fail_msg("'%s': %d", cases[i].in, (int)e);
		if (e != OK)
			continue;
		(void)snprintf(got, sizeof(got), "%s %s %u %s", u.scheme, u.host, u.port, u.path);
		assert_string_equal(got, cases[i].out);
	}
}

static void
test_peers(void **state)
{
	struct addr a = ip("10.0.0.1"), b = ip("10.0.0.2"), c = ip("2001:db8::1"),
		    d = ip("2001:db8::2"), e = ip("2001:db8:0:1::1");
	struct peers *p;
	uint64_t now = 1000;
	int i;

	assert_int_equal(peers_new(&p), OK);
	assert_true(peers_enter(p, &a, 2) && peers_enter(p, &a, 2));
	assert_false(peers_enter(p, &a, 2));
	assert_true(peers_enter(p, &b, 2));
	assert_int_equal(peers_count(p, &a), 2);
	peers_leave(p, &a);
	assert_true(peers_enter(p, &a, 2));
	assert_true(peers_enter(p, &c, 1));
	assert_false(peers_enter(p, &d, 1)); /* one /64 */
	assert_true(peers_enter(p, &e, 1));
	for (i = 0; i < 5; i++)
		assert_true(peers_take(p, &a, 2, 5, now));
	assert_false(peers_take(p, &a, 2, 5, now));
	assert_true(peers_take(p, &b, 2, 5, now));
	assert_false(peers_take(p, &a, 2, 5, now + 499));
	assert_true(peers_take(p, &a, 2, 5, now + 500));
	assert_false(peers_take(p, &a, 2, 5, now + 501));
	assert_true(peers_take(p, &a, 0, 0, now));
	peers_free(p);
}

/* Many sources come once: the table stays bounded and forgets them. */
static void
test_peers_crowd(void **state)
{
	struct addr a = ip("10.0.0.0");
	struct peers *p;
	uint32_t i;

	assert_int_equal(peers_new(&p), OK);
	for (i = 0; i < 200000; i++) {
		a.ip[1] = (uint8_t)(i >> 16);
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		assert_true(peers_take(p, &a, 1, 1, 1 + i / 100) || i > 60000);
	}
	a = ip("11.0.0.1"); /* two seconds later everybody is forgotten and a newcomer is not in the
			       crowd's bucket */
	for (i = 0; i < 2000; i++)
		assert_true(peers_take(p, &a, 1, 1, 10000 + 1000 * i));
	a = ip("12.0.0.1");
	assert_true(peers_take(p, &a, 1, 1, 3000000));
	assert_true(peers_enter(p, &a, 1));
	assert_int_equal(peers_count(p, &a), 1);
	peers_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_hostport),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_peers_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
