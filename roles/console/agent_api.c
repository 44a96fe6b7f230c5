#include "agent_api.h"

#include "base/limits.h"
#include "proto/dropped.h"
#include "proto/enroll.h"
#include "proto/upload.h"

const struct http_route agent_routes[] = {
	{ "POST", ENROLL_PATH, 0, LIMIT_ENROLL_REQUEST, on_enroll },
	{ "POST", ENROLL_RENEW_PATH, HTTP_NEED_AGENT | HTTP_EXPIRED_OK, LIMIT_ENROLL_REQUEST,
	    on_renew },
	{ "POST", ENROLL_EVENTS_PATH, HTTP_NEED_AGENT, LIMIT_BATCH_BYTES, on_events },
	{ "GET", ENROLL_TASKS_PATH, HTTP_NEED_AGENT, 0, on_pull },
	{ "POST", ENROLL_TASKS_PATH "/{}/state", HTTP_NEED_AGENT, LIMIT_TASK_BYTES, on_task_state },
	{ "PUT", ENROLL_TASKS_PATH "/{}/files/{}", HTTP_NEED_AGENT, UPLOAD_PIECE, on_upload },
	{ "PUT", DROPPED_PATH "/{}", HTTP_NEED_AGENT, UPLOAD_PIECE, on_dropped },
	{ "POST", ENROLL_PROBE_PATH, HTTP_NEED_AGENT, 1024, on_probe },
	{ "GET", ENROLL_FEEDS_PATH "policies/*", HTTP_NEED_AGENT, 0, on_feed_file },
};
const size_t agent_route_count = sizeof(agent_routes) / sizeof(agent_routes[0]);

bool
agent_gate(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	const struct pki_identity *peer = http_identity(req);

	if (peer == NULL || !revoked_has(c->revoked, peer->name))
		return true;
	http_problem(req, 403, "revoked", "this agent is revoked: enrol it anew");
	return false;
}
