/* peers.c - see peers.h. A chained hash table; an entry lives while it has connections or an
 * unfilled bucket. */
#include "net/peers.h"

#include "base/limits.h"
#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct peer {
	struct peer *next;
	uint8_t key[17];
	uint32_t count;
	uint64_t
	    tokens_milli; /* thousandths of a token, so that slow refills do not round to nothing */
	uint64_t filled_ms; /* when tokens_milli was right; 0: bucket never used */
	uint64_t full_ms;   /* when the bucket will be full again */
};

struct peers {
	struct peer *buckets[BUCKETS];
	struct peer crowd; /* everybody past LIMIT_PEERS */
	size_t n, next_sweep;
	uint64_t seed; /* so that nobody can aim at one chain */
};

enum err
peers_new(struct peers **out)
{
	struct peers *p = calloc(1, sizeof(*p));

	*out = p;
	if (p == NULL)
		return ERR_NOMEM;
	return pki_random(&p->seed, sizeof(p->seed));
}

void
peers_free(struct peers *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < BUCKETS; i++) {
		while (p->buckets[i] != NULL) {
			struct peer *e = p->buckets[i];

			p->buckets[i] = e->next;
			free(e);
		}
	}
	free(p);
}

static void
peer_key(uint8_t key[17], const struct addr *a)
{
	memset(key, 0, 17);
	key[0] = (uint8_t)a->family;
	if (a->family == ADDR_V4)
		memcpy(key + 1, a->ip, 4);
	else if (a->family == ADDR_V6)
		memcpy(key + 1, a->ip, addr_is_loopback(a) ? 16 : 8);
}

static size_t
peer_bucket(const struct peers *p, const uint8_t key[17])
{
	uint64_t h = 0xcbf29ce484222325ull ^ p->seed;
	size_t i;

	for (i = 0; i < 17; i++) {
		h = (h ^ key[i]) * 0x100000001b3ull;
		h ^= h >> 29;
	}
	return (size_t)(h % BUCKETS);
}

static bool
peer_is_spent(const struct peer *e, uint64_t now_ms)
{
	return e->count == 0 && (e->filled_ms == 0 || now_ms >= e->full_ms);
}

/* Drops what is no longer needed from one chain: garbage is collected where somebody looks. */
static void
sweep_chain(struct peers *p, size_t b, uint64_t now_ms)
{
	struct peer **at = &p->buckets[b];

	while (*at != NULL) {
		struct peer *e = *at;

		if (!peer_is_spent(e, now_ms)) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e);
		p->n--;
	}
}

/* One chain for each token taken: the whole table is looked through once in BUCKETS calls, whoever
 * calls. */
static void
sweep_some(struct peers *p, uint64_t now_ms)
{
	p->next_sweep = (p->next_sweep + 1) % BUCKETS;
	sweep_chain(p, p->next_sweep, now_ms);
}

static struct peer *
peer_find(const struct peers *p, const struct addr *a)
{
	uint8_t key[17];
	struct peer *e;

	peer_key(key, a);
	for (e = p->buckets[peer_bucket(p, key)]; e != NULL; e = e->next)
		if (memcmp(e->key, key, sizeof(key)) == 0)
			return e;
	return NULL;
}

static struct peer *
peer_make(struct peers *p, const struct addr *a)
{
	struct peer *e = peer_find(p, a);
	uint8_t key[17];
	size_t b;

	if (e != NULL)
		return e;
	if (p->n >= LIMIT_PEERS || (e = calloc(1, sizeof(*e))) == NULL)
		return &p->crowd;
	peer_key(key, a);
	b = peer_bucket(p, key);
	memcpy(e->key, key, sizeof(key));
	e->next = p->buckets[b];
	p->buckets[b] = e;
	p->n++;
	return e;
}

bool
peers_enter(struct peers *p, const struct addr *a, uint32_t max)
{
	struct peer *e = peer_make(p, a);

	if (max != 0 && e->count >= max)
		return false;
	e->count++;
	return true;
}

void
peers_leave(struct peers *p, const struct addr *a)
{
	struct peer *e = peer_find(p, a);
	uint8_t key[17];

	if (e == NULL || e->count == 0)
		e = &p->crowd; /* entered while the table was full */
	if (e->count > 0)
		e->count--;
	peer_key(key, a);
	sweep_chain(p, peer_bucket(p, key), 0);
}

uint32_t
peers_count(const struct peers *p, const struct addr *a)
{
	const struct peer *e = peer_find(p, a);

	return e != NULL ? e->count : 0;
}

bool
peers_take(struct peers *p, const struct addr *a, uint32_t per_s, uint32_t burst, uint64_t now_ms)
{
	uint64_t full = (uint64_t)(burst > 0 ? burst : 1) * 1000, earned;
	bool granted;
	struct peer *e;

	if (per_s == 0)
		return true;
	sweep_some(p, now_ms);
	e = peer_make(p, a);
	if (e->filled_ms == 0) {
		e->tokens_milli = full;
	} else {
		earned = now_ms > e->filled_ms ? (now_ms - e->filled_ms) * per_s : 0;
		e->tokens_milli =
		    earned >= full - e->tokens_milli ? full : e->tokens_milli + earned;
	}
	e->filled_ms = now_ms > 0 ? now_ms : 1;
	granted = e->tokens_milli >= 1000;
	if (granted)
		e->tokens_milli -= 1000;
	e->full_ms = e->filled_ms + (full - e->tokens_milli) / per_s + 1;
	return granted;
}
