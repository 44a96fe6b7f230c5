/* task_scan.c - tasks `scan.start` and `scan.stop` while this build has no scanner. */
#include "task_scan.h"

#include "task_handlers.h"
#include "tasks.h"

enum err
scan_part_open(struct agent *a, struct fault *f)
{
	return OK;
}

void
scan_part_close(struct agent *a, void (*closed)(void *ctx), void *ctx)
{
	closed(ctx);
}

void
run_scan_start(struct task *t)
{
	task_fail(t, TASK_FAILED, "unsupported", "this build cannot scan");
}

void
cancel_scan_start(struct task *t)
{
}

void
run_scan_stop(struct task *t)
{
	task_fail(t, TASK_FAILED, "unsupported", "this build cannot scan");
}
