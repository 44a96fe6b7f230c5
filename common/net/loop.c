#include "net/loop.h"

#include "base/inject.h"
#include "base/log.h"

bool
loop_end(uv_loop_t *loop)
{
	static uv_idle_t left;

	if (inject("loop.left"))
		(void)uv_idle_init(loop, &left);
	if (uv_loop_close(loop) == 0)
		return true;
	log_error("loop.end", "error=handles-left");
	return false;
}
