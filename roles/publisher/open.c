/* open.c - see verbs.h. */
#include "verbs.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_MS 30000u
#define QUIET_MS 1000u

enum err
open_repo(struct repo **out, const char *dir, const char *passphrase, struct fault *f)
{
	const struct timespec pause = { 0, 50000000 };
	uint64_t began = clock_mono_ms();
	bool told = false;

	for (;;) {
		enum err e = repo_open(out, dir, passphrase, f);
		uint64_t waited = clock_mono_ms() - began;

		if (e != ERR_BUSY || waited > LONGEST_MS)
			return e;
		if (!told && waited > QUIET_MS && isatty(2)) {
			told = true;
			(void)fputs(
			    "atalaia-repo: waiting for another process on this repository\n",
			    stderr);
		}
		fault_reset(f);
		(void)nanosleep(&pause, NULL);
	}
}
