/* engine_memory.c - is there memory for what comes next: the load test of a set, and then the
 * reload of the engine that runs? A concurrent reload keeps the old set beside the new one until
 * the new one is loaded; a blocking one lets the old go first and stalls scans meanwhile. Neither
 * begins when memory lacks: what does not fit waits (DESIGN section 7).
 *
 * How much a set needs is known best from its load test: the peak of that process. Before it, from
 * the clamd that holds the feed's current set, else from the table below. Measured with
 * ClamAV 1.4.6 (tests/bench/engine_memory.py): a concurrent reload took 8 MiB less than clamscan's
 * peak for the same set, on top of what clamd held; a blocking one never more than the larger of
 * the two sets. */
#include "engine_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "os/mem.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define COMMAND_BASE (64ull << 20) /* of a loading program, whatever the set */
#define CLAMAV_BASE (24ull << 20)  /* measured: 15 MiB with one signature */
#define LEAST_TENTHS 18		   /* loaded bytes for each byte of a set, the least measured */

static const char *const way_words[] = { "none", "concurrent", "blocking", "restart" };
static const char *const kind_words[] = { "unknown", "concurrent", "blocking" };

/* Loaded bytes for ten bytes of a file: the most that was measured from 4 MiB on, and some more.
 * Hashes 1.8 to 2.7 beyond the base, body signatures 2.0, logical signatures 12 to 28, YARA 77. */
static const struct {
	const char *tail;
	unsigned tenths;
} file_factors[] = { { ".ldb", 280 }, { ".ldu", 280 }, { ".yar", 800 }, { ".yara", 800 },
	{ ".cvd", 120 }, { ".cld", 120 }, { ".cud", 120 } };
#define OTHER_TENTHS 28

static uint64_t
file_need(const char *name, uint64_t size)
{
	for (size_t i = 0; i < sizeof file_factors / sizeof file_factors[0]; i++)
		if (text_ends(name, file_factors[i].tail))
			return size / 10 * file_factors[i].tenths;
	return size / 10 * OTHER_TENTHS;
}

uint64_t
engine_set_need(const char *set)
{
	DIR *d = opendir(set);
	struct dirent *entry;
	uint64_t sum = CLAMAV_BASE;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			sum += file_need(entry->d_name, (uint64_t)st.st_size);
	if (d != NULL)
		(void)closedir(d);
	return sum;
}

/* What the same feed's set of before costs in the clamd that runs says more than any table. */
uint64_t
engine_clamav_need(const struct engine_facts *f, uint64_t set_bytes, uint64_t by_table)
{
	uint64_t least = CLAMAV_BASE + set_bytes / 10 * LEAST_TENTHS, need;

	if (!f->running || f->holds < (1u << 20)) /* small ones tell of the base only */
		return by_table;
	need = (uint64_t)((double)f->memory / (double)f->holds * (double)set_bytes * 1.1) +
	       CLAMAV_BASE;
	return need > least ? need : least;
}

enum reload_way
engine_reload_way(const struct engine_facts *f, uint64_t need, uint64_t have, bool can_restart)
{
	uint64_t after_letting_go = have + (f->running ? f->memory : 0);

	if (f->kind == RELOAD_BLOCKING)
		return need <= after_letting_go ? WAY_BLOCKING : WAY_NONE;
	if (need <= have) /* not known counts as concurrent: it needs the most */
		return WAY_CONCURRENT;
	return can_restart && need <= after_letting_go ? WAY_RESTART : WAY_NONE;
}

/* False: it is not known. */
static bool
free_memory(const struct engine *e, uint64_t *have)
{
	bool known = mem_available(have) == OK;

	if (e->o.memory_limit != 0 && (!known || e->o.memory_limit < *have)) {
		*have = e->o.memory_limit;
		known = true;
	}
	return known;
}

static void
note(struct engine *e, const char *what, uint64_t need, uint64_t have, const char *reload)
{
	e->memory_need = need;
	e->memory_have = have;
	e->reload = reload;
	log_info("engine.memory",
	    "for=%s need=%" PRIu64 " have=%" PRIu64 " clamd=%" PRIu64 " kind=%s reload=%s", what,
	    need, have, e->facts.memory, kind_words[e->facts.kind], reload);
}

bool
engine_memory_test(struct engine_job *j, uint64_t need)
{
	uint64_t have = 0;

	if (!free_memory(j->e, &have) || need <= have)
		return true;
	note(j->e, "test", need, have, "none");
	engine_job_end(j, ERR_NOMEM, "memory",
	    "a load test of this set needs about %" PRIu64 " MiB, %" PRIu64 " MiB are free",
	    need >> 20, have >> 20);
	return false;
}

bool
engine_memory_fits(struct engine_job *j, unsigned factor)
{
	uint64_t have = 0, need = j->set_bytes * factor + COMMAND_BASE;

	if (!engine_memory_test(j, need))
		return false;
	if (free_memory(j->e, &have))
		note(j->e, "test", need, have, have < need + need / 2 ? "blocking" : "concurrent");
	return true;
}

enum reload_way
engine_memory_reload(struct engine_job *j)
{
	struct engine *e = j->e;
	bool can = e->o.clamd_restart[0] != '\0';
	uint64_t need = j->memory, have = 0;
	enum reload_way way;

	if (e->measured_bytes != 0 && strcmp(e->measured, j->set) == 0)
		need = e->measured_bytes;
	if (!free_memory(e, &have))
		return e->facts.kind == RELOAD_BLOCKING ? WAY_BLOCKING : WAY_CONCURRENT;
	way = engine_reload_way(&e->facts, need, have, can);
	note(e, "reload", need, have, way_words[way]);
	if (way != WAY_NONE)
		return way;
	engine_job_end(j, ERR_NOMEM, "memory",
	    "a %s reload of this set needs about %" PRIu64 " MiB, %" PRIu64
	    " MiB are free and clamd holds %" PRIu64 " MiB%s",
	    e->facts.kind == RELOAD_BLOCKING ? "blocking" : "concurrent", need >> 20, have >> 20,
	    e->facts.memory >> 20,
	    e->facts.kind != RELOAD_BLOCKING && need <= have + e->facts.memory
		? "; a blocking one fits: ConcurrentDatabaseReload no in clamd.conf, or [engine] "
		  "clamd_restart"
		: "");
	return WAY_NONE;
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
	if (k == OK && e->o.type == ENGINE_CLAMD)
		k = json_add_u64(m, "held", e->facts.memory);
	if (k == OK && e->o.type == ENGINE_CLAMD)
		k = json_add_string(m, "kind", kind_words[e->facts.kind]);
	return k == OK ? json_add_string(m, "reload", e->reload) : k;
}
