#include "os/descriptors.h"

#include <sys/resource.h>

/* More than the threads of the pool and the listeners may open at one moment. */
#define RESERVE 32u

static uint64_t tight_from = UINT64_MAX;

uint64_t
descriptors_take(uint64_t need)
{
	struct rlimit r;
	rlim_t before;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 0;
	before = r.rlim_cur;
	if (r.rlim_cur < need) {
		r.rlim_cur = r.rlim_max < need ? r.rlim_max : (rlim_t)need;
		if (setrlimit(RLIMIT_NOFILE, &r) != 0)
			r.rlim_cur = before;
	}
	tight_from = r.rlim_cur > 2 * RESERVE ? r.rlim_cur - RESERVE : r.rlim_cur / 2;
	return r.rlim_cur;
}

bool
descriptors_tight(int fd)
{
	return fd >= 0 && (uint64_t)fd >= tight_from;
}
