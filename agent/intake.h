/* intake.h - POST /v1/events of port 2227 and the unix socket: who may post what, and how much. The
 * rules are pure; the handler joins them to httpd and the spool. TRUST-events.md says what is
 * trusted. */
#ifndef ATALAIA_AGENT_INTAKE_H
#define ATALAIA_AGENT_INTAKE_H

#include "base/err.h"
#include "base/fault.h"
#include "base/limits.h"
#include "proto/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- who may post detections --- */
struct intake_uids {
	uint32_t uid[LIMIT_INTAKE_UIDS];
	size_t n;
};
/* "0, 1001 clamav": numbers, separated by commas or spaces. ERR_INVAL with a sentence. */
MUST_CHECK enum err intake_uids_parse(struct intake_uids *out, const char *text, struct fault *f);
bool intake_uid_trusted(const struct intake_uids *u, uint32_t uid);

/* The class of an event from a sender. ERR_DENIED: this sender may not post it. */
MUST_CHECK enum err intake_classify(
    const cJSON *event, bool trusted, enum event_class *out, struct fault *f);

/* --- how much --- */
/* Two token buckets for each user id: events and bytes. Bounded; the least recently seen goes. */
struct intake_rate {
	double events_per_s, events_burst, bytes_per_s, bytes_burst;
};
struct intake_sender {
	uint32_t uid;
	bool used;
	uint64_t seen_ms;
	double events, bytes;
};
struct intake_senders {
	struct intake_sender sender[LIMIT_INTAKE_SENDERS];
};
/* Takes n events of this size. 0: taken; else milliseconds until it would be. */
uint64_t intake_take(struct intake_senders *s, const struct intake_rate *rate, uint32_t uid,
    uint64_t now_ms, size_t n, size_t bytes);

/* --- the handler; ctx is the struct events --- */
struct http_req;
void intake_post(struct http_req *r, void *ctx);

#endif
