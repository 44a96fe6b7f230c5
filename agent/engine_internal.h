/* engine_internal.h - shared by engine*.c only. */
#ifndef ATALAIA_AGENT_ENGINE_INTERNAL_H
#define ATALAIA_AGENT_ENGINE_INTERNAL_H

#include "engine.h"

#include "base/buf.h"
#include "capture.h"
#include "proto/clamd.h"

#define ENGINE_SAMPLES CAPTURE_FDS /* a scan program gets each as a descriptor */

enum engine_kind { ENGINE_GATE, ENGINE_RELOAD, ENGINE_PROBE };

/* engine_facts.c: the clamd that runs. */
enum reload_kind { RELOAD_UNKNOWN, RELOAD_CONCURRENT, RELOAD_BLOCKING };
struct engine_facts {
	bool running; /* a clamd whose configuration names our socket was found */
	enum reload_kind kind;
	int64_t started; /* wall ms, 0: not known */
	uint64_t memory; /* bytes it holds */
	uint64_t holds;	 /* bytes of the feed's current set when that is what it loads, else 0 */
	char conf[256];
};
/* Blocking. conf: "" for the one that the process was started with. */
void engine_facts_read(
    struct engine_facts *f, const char *socket, const char *conf, const char *set);

/* What an engine can do. Each starts and later calls engine_job_end exactly once; stop abandons
 * what is under way and returns at once (its callbacks must not touch the job any more). */
struct engine_ops {
	enum err (*gate)(struct engine_job *j, struct fault *f);
	enum err (*reload)(struct engine_job *j, struct fault *f);
	enum err (*probe)(struct engine_job *j, struct fault *f);
	void (*stop)(struct engine_job *j);
	/* One look at its health; ends in engine_seen. NULL: always up. */
	void (*look)(struct engine *e);
};
extern const struct engine_ops engine_clamd_ops, engine_command_ops, engine_none_ops;

/* Files that every set must detect, and files that none may. Read by a worker. */
struct engine_sample {
	char name[128];
	bool must_hit;
	bool marker;
	struct buf bytes;
};
struct engine_samples {
	struct engine_sample item[ENGINE_SAMPLES];
	size_t n;
};

struct engine_ask;

struct engine_job {
	struct engine *e;
	enum engine_kind kind;
	char set[1100], feed[80];
	uint64_t version, began;
	bool marker;
	engine_cb cb;
	void *ctx;
	uv_timer_t deadline, pause; /* pause: between two tries of a probe */
	uv_work_t work;
	bool working, ended, canceled;
	unsigned open_handles;
	struct engine_samples samples;
	enum err loaded; /* of the samples */
	struct fault load_fault;
	uint64_t set_bytes, memory; /* bytes of the set, and what loading it needs: an estimate */
	struct engine_facts facts;
	size_t at; /* sample that is being scanned */
	bool marker_seen;
	struct engine_ask *ask;
	struct capture *run;
	int fd[ENGINE_SAMPLES]; /* samples as files in memory, for a child */
	void (*loaded_then)(struct engine_job *j);
	struct engine_outcome out;
	struct engine_job *next;
};

struct engine {
	struct engine_options o;
	const struct engine_ops *ops;
	uv_timer_t watch;
	struct engine_job *jobs;
	struct engine_ask *look_ask;
	struct capture *look_run;
	int look_fd;		  /* the clean sample of a command's look, -1: none */
	struct clamd_stats stats; /* memory 0: not known */
	bool memory_short;
	bool up, known, closing;
	unsigned misses;
	int64_t since; /* wall ms */
	char version[CLAMD_NAME], error[200];
	char current[1100];		   /* set of the last reload */
	uint64_t memory_need, memory_have; /* bytes, at the last gate */
	const char *reload; /* "concurrent", "blocking", "restart", "none"; NULL: not asked yet */
	struct engine_facts facts; /* of the last look */
	char measured[1100];	   /* set of the last load test that passed */
	uint64_t measured_bytes;   /* and its peak of memory, 0: not known */
	char restarted[1100];	   /* set for which clamd was restarted last, */
	int64_t restarted_wall;	   /* when that began, */
	uint64_t restarted_mono;   /* and when the command ended; 0: never */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* Ends the job; first call wins. rule is a word. */
void engine_job_end(struct engine_job *j, enum err e, const char *rule, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Loads samples (not for a reload) and looks at memory in a worker, then calls then from the loop,
 * unless the job ended meanwhile. */
void engine_job_load(struct engine_job *j, void (*then)(struct engine_job *j));
/* engine_clamscan.c */
enum err engine_clamscan_gate(struct engine_job *j, struct fault *f);
/* engine_memory.c: false when the job was ended for lack of memory. factor: loaded bytes for each
 * byte of a set. From the loop, after engine_job_load. */
bool engine_memory_fits(struct engine_job *j, unsigned factor);
bool engine_memory_test(struct engine_job *j, uint64_t need);
/* How clamd may take the job's set now. WAY_NONE: the job was ended for lack of memory. */
enum reload_way { WAY_NONE, WAY_CONCURRENT, WAY_BLOCKING, WAY_RESTART };
enum reload_way engine_memory_reload(struct engine_job *j);
/* Pure: the same decision, and the estimate before a load test. */
enum reload_way engine_reload_way(
    const struct engine_facts *f, uint64_t need, uint64_t have, bool can_restart);
uint64_t engine_clamav_need(const struct engine_facts *f, uint64_t set_bytes, uint64_t by_table);
uint64_t engine_set_need(const char *set); /* blocking: by the table of file kinds */
MUST_CHECK enum err engine_memory_status(const struct engine *e, cJSON *o);
/* engine_look.c */
void engine_clamd_look(struct engine *e);
void engine_command_look(struct engine *e);
void engine_look_cancel(struct engine *e);
#define ENGINE_ASK_MS 45000u /* a blocking reload was seen to stall scans for 31 s */
/* engine.c: raises an event about the engine; more is taken into its data. */
void engine_tell(struct engine *e, const char *type, const char *name, uint64_t a,
    const char *name2, uint64_t b);
/* A look's outcome. */
void engine_seen(struct engine *e, bool up, const char *version, const char *error);

/* Blocking. builtin: with EICAR as a canary. The marker is added when feed is not NULL. */
MUST_CHECK enum err engine_samples_load(struct engine_samples *s, const char *canaries,
    const char *clean, bool builtin, const char *feed, uint64_t version, struct fault *f);
/* Blocking: bytes of the files in a folder, its sub-folders left away. */
uint64_t engine_set_bytes(const char *set);
void engine_samples_free(struct engine_samples *s);
/* Is this verdict what the sample must get? signature NULL: clean. Says otherwise in rule and text.
 */
MUST_CHECK bool engine_sample_right(const struct engine_sample *s, const char *signature,
    const char *feed, uint64_t version, const char **rule, char *text, size_t size);

/* engine_ask.c: one request to clamd. done exactly once unless canceled; never inside the call. */
struct engine_answer {
	enum err err; /* UNREACHABLE, TIMEOUT, CLOSED, PARSE... */
	struct clamd_reply reply;
	const char *raw; /* the same as it came; during done only */
	size_t raw_len;
};
MUST_CHECK enum err engine_ask(struct engine_ask **out, uv_loop_t *loop, const char *socket,
    const void *request, size_t n, unsigned timeout_ms,
    void (*done)(void *ctx, const struct engine_answer *a), void *ctx);
/* The same for INSTREAM with this content, to the engine's socket. */
MUST_CHECK enum err engine_ask_scan(struct engine_ask **out, struct engine *e,
    const struct buf *content, void (*done)(void *ctx, const struct engine_answer *a), void *ctx);
void engine_ask_cancel(struct engine_ask *a); /* done will not be called; NULL is fine */

#endif
