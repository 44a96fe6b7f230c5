/* engine_memory.c - before a set is loaded for test: is there memory for it, and for which reload?
 * A concurrent reload keeps the old set beside the new one (measured: 1.95 times the memory); a
 * blocking one lets the old go first and stalls scans meanwhile. clamd does what its own
 * ConcurrentDatabaseReload says; this names the one that fits, and refuses when not even the load
 * test does. */
#include "engine_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "os/mem.h"

#include <inttypes.h>

#define MEMORY_BASE (64ull << 20) /* of a loading program, whatever the set */

bool
engine_memory_fits(struct engine_job *j, unsigned factor)
{
	uint64_t have = 0, limit = j->e->o.memory_limit, need = j->set_bytes * factor + MEMORY_BASE;
	bool known = mem_available(&have) == OK;

	if (limit != 0 && (!known || limit < have)) {
		have = limit;
		known = true;
	}
	if (!known)
		return true;
	j->e->memory_need = need;
	j->e->memory_have = have;
	j->e->reload = have < need ? "none" : have < need + need / 2 ? "blocking" : "concurrent";
	log_info("engine.memory", "need=%" PRIu64 " have=%" PRIu64 " reload=%s", need, have,
	    j->e->reload);
	if (have >= need)
		return true;
	engine_job_end(j, ERR_NOMEM, "memory",
	    "a load test of this set needs about %" PRIu64 " MiB, %" PRIu64 " MiB are free",
	    need >> 20, have >> 20);
	return false;
}

enum err
engine_memory_status(const struct engine *e, cJSON *o)
{
	cJSON *m;
	enum err k;

	if (e->reload == NULL && e->stats.memory == 0)
		return OK;
	k = json_add_object(o, "memory", &m);
	if (k == OK && e->stats.memory != 0)
		k = json_add_u64(m, "used", e->stats.memory);
	if (k == OK && e->stats.memory != 0)
		k = json_add_u64(m, "queue", e->stats.queue);
	if (e->reload == NULL)
		return k;
	if (k == OK)
		k = json_add_u64(m, "need", e->memory_need);
	if (k == OK)
		k = json_add_u64(m, "have", e->memory_have);
	return k == OK ? json_add_string(m, "reload", e->reload) : k;
}
