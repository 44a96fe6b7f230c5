/* allocshim.c - LD_PRELOAD library: the n-th allocation of a program fails, and it is told apart
 * who gave up afterwards.
 *
 *   ALLOC_AT=n         the n-th allocation answers NULL, once; 0 or unset: none does
 *   ALLOC_LATER=1      so does every later one
 *   ALLOC_START=FILE   counting begins when FILE exists
 *   ALLOC_PATHS=FILE   at the end: one line with the number of allocations, then the ordinal of the
 *                      first one of each call path (the innermost frames), one a line
 *
 * Children that the program starts are left alone. A cmocka program is counted from its first test;
 * what cmocka itself allocates is not counted, and it does not catch signals, so that a crash is a
 * crash. Ends of the program: 76 an assertion of the test failed (CMOCKA_TEST_ABORT=1), 77 a
 * library called abort(). Works over ASan's allocator too (ASAN_OPTIONS=verify_asan_link_order=0).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 9
#define SLOTS 65536u
#define EXIT_TEST 76
#define EXIT_LIBRARY 77

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static char early[65536]; /* for what dlsym itself allocates */
static size_t early_used;
static atomic_long calls;
static long at;
static int every_later, counting, paths_fd = -1;
static const char *start_file;
static pid_t first_process;
static struct {
	uint64_t path;
	long first;
} seen[SLOTS];
static atomic_flag seen_lock = ATOMIC_FLAG_INIT;
static __thread int inside;

static void *
early_memory(size_t n)
{
	void *p = early + early_used;

	n = (n + 15) & ~(size_t)15;
	if (n > sizeof early - early_used)
		return NULL;
	early_used += n;
	return p;
}

static void
find_next(void)
{
	static int finding;

	if (finding)
		return;
	finding = 1;
	*(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	finding = 0;
}

/* The library or program that this address belongs to. */
static int
is_in(const void *address, const char *name)
{
	Dl_info info;

	return dladdr(address, &info) != 0 && info.dli_fname != NULL &&
	       strstr(info.dli_fname, name) != NULL;
}

static void
remember_path(long n)
{
	void *frames[FRAMES];
	uint64_t path = 1469598103934665603u;
	int have = backtrace(frames, FRAMES);

	for (int i = 2; i < have; i++)
		path = (path ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
	while (atomic_flag_test_and_set(&seen_lock))
		;
	for (uint64_t i = path % SLOTS, tries = 0; tries < SLOTS; i = (i + 1) % SLOTS, tries++) {
		if (seen[i].path == path)
			break;
		if (seen[i].path == 0) {
			seen[i].path = path;
			seen[i].first = n;
			break;
		}
	}
	atomic_flag_clear(&seen_lock);
}

/* Counts; true when this allocation must fail. */
static int
refuse(const void *caller)
{
	long n;

	if (!counting || inside)
		return 0;
	inside = 1;
	if (start_file != NULL && access(start_file, F_OK) == 0)
		start_file = NULL;
	if (start_file != NULL || is_in(caller, "libcmocka") || is_in(caller, "libseccomp")) {
		inside = 0;
		return 0;
	}
	n = atomic_fetch_add(&calls, 1) + 1;
	if (paths_fd >= 0)
		remember_path(n);
	inside = 0;
	return at != 0 && (n == at || (n > at && every_later));
}

void *
malloc(size_t n)
{
	if (next_malloc == NULL)
		find_next();
	if (next_malloc == NULL)
		return early_memory(n);
	if (refuse(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return next_malloc(n);
}

void *
calloc(size_t count, size_t n)
{
	if (next_calloc == NULL)
		find_next();
	if (next_calloc == NULL)
		return early_memory(count * n);
	if (refuse(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return next_calloc(count, n);
}

void *
realloc(void *p, size_t n)
{
	if (next_realloc == NULL)
		find_next();
	if (next_realloc == NULL)
		return early_memory(n);
	if (refuse(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return next_realloc(p, n);
}

/* Who gives up: the test's assertion, a library, or (no way out) our own code. */
void
abort(void)
{
	const void *caller = __builtin_return_address(0);

	inside = 1;
	if (is_in(caller, "libcmocka"))
		_exit(EXIT_TEST);
	if (is_in(caller, ".so"))
		_exit(EXIT_LIBRARY);
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
	_exit(EXIT_LIBRARY);
}

__sighandler_t
signal(int number, __sighandler_t handler)
{
	static __sighandler_t (*next)(int, __sighandler_t);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "signal");
	return is_in(__builtin_return_address(0), "libcmocka") ? SIG_DFL : next(number, handler);
}

int
_cmocka_run_group_tests(
    const char *name, const void *tests, size_t n, int (*setup)(void **), int (*teardown)(void **))
{
	int (*next)(const char *, const void *, size_t, int (*)(void **), int (*)(void **));
	int result;

	*(void **)&next = dlsym(RTLD_NEXT, "_cmocka_run_group_tests");
	counting = 1;
	result = next(name, tests, n, setup, teardown);
	counting = 0;
	return result;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *n = getenv("ALLOC_AT"), *paths;
	void *frames[2];

	find_next();
	(void)unsetenv("LD_PRELOAD");
	first_process = getpid();
	at = n == NULL ? 0 : strtol(n, NULL, 10);
	every_later = getenv("ALLOC_LATER") != NULL;
	start_file = getenv("ALLOC_START");
	paths = getenv("ALLOC_PATHS");
	if (paths != NULL) /* now: a confined program may not later */
		paths_fd = open(paths, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	(void)backtrace(frames, 2); /* loads what it needs now */
	counting = dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests") == NULL ||
		   dlsym(RTLD_NEXT, "_cmocka_run_group_tests") == NULL;
}

__attribute__((destructor)) static void
tell(void)
{
	counting = 0;
	if (paths_fd < 0 || getpid() != first_process)
		return;
	(void)dprintf(paths_fd, "%ld\n", atomic_load(&calls));
	for (size_t i = 0; i < SLOTS; i++)
		if (seen[i].path != 0)
			(void)dprintf(paths_fd, "%ld\n", seen[i].first);
}
