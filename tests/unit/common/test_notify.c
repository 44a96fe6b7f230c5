/* A fake service manager hears what programs tell it. */
#include "os/notify.h"
#include "test.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager;

static void
listen_as(const char *name, size_t n)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char variable[100];

	memcpy(at.sun_path, name, n);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	memcpy(variable, name, n);
	variable[n] = '\0';
	if (name[0] == '\0')
		variable[0] = '@';
	assert_int_equal(setenv("NOTIFY_SOCKET", variable, 1), 0);
}

static void
expect(const char *words)
{
	char got[64];
	ssize_t n = recv(manager, got, sizeof got, 0);

	assert_int_equal(n, strlen(words));
	assert_memory_equal(got, words, strlen(words));
}

static void
test_abstract_and_file(void **state)
{
	char name[64];
	int n = snprintf(name, sizeof name, "%catalaia-notify-%d", '\0', (int)getpid());

	listen_as(name, (size_t)n);
	notify_send(NOTIFY_READY);
	notify_send(NOTIFY_ALIVE);
	expect("READY=1");
	expect("WATCHDOG=1");
	(void)close(manager);
	n = snprintf(name, sizeof name, "/tmp/atalaia-notify-%d", (int)getpid());
	(void)unlink(name);
	listen_as(name, (size_t)n);
	notify_send(NOTIFY_STOPPING);
	expect("STOPPING=1");
	(void)close(manager);
	(void)unlink(name);
	notify_send(NOTIFY_ALIVE); /* nobody is there: nothing happens */
	(void)unsetenv("NOTIFY_SOCKET");
	notify_send(NOTIFY_ALIVE);
	(void)setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	notify_send(NOTIFY_ALIVE);
}

static void
test_interval(void **state)
{
	char pid[16];

	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	assert_int_equal(notify_interval_ms(), 0);
	(void)setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_interval_ms(), 15000);
	(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
	(void)setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_interval_ms(), 15000);
	(void)setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
	assert_int_equal(notify_interval_ms(), 0);
	(void)unsetenv("WATCHDOG_PID");
	(void)setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(notify_interval_ms(), 0);
	(void)setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(notify_interval_ms(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abstract_and_file),
		cmocka_unit_test(test_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
