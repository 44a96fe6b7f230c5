/* peers.h - connections and token buckets per source address, for every listener (HTTP, FTP). IPv6
 * sources count by /64, unix sockets as one. Loop thread only. Memory is bounded: one small entry
 * per source that is connected or not yet refilled; past LIMIT_PEERS new sources share one entry.
 */
#ifndef ATALAIA_NET_PEERS_H
#define ATALAIA_NET_PEERS_H

#include "net/addr.h"

struct peers;
MUST_CHECK enum err peers_new(struct peers **out);
void peers_free(struct peers *); /* NULL is fine */
/* Counts one connection of this source; false (and not counted) when it has `max` already. max 0:
 * no limit. */
MUST_CHECK bool peers_enter(struct peers *, const struct addr *a, uint32_t max);
void peers_leave(struct peers *, const struct addr *a);
uint32_t peers_count(const struct peers *, const struct addr *a);
/* Takes one token of a bucket that refills per_s a second up to burst; false when it is empty.
 * per_s 0: always true. */
MUST_CHECK bool peers_take(
    struct peers *, const struct addr *a, uint32_t per_s, uint32_t burst, uint64_t now_ms);

#endif
