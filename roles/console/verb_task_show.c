/* verb_task_show.c - task show: once, --wait for the end, --follow each change on the way. */
#include "cli.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 512
#define WAIT_STEP_S 30

void
cli_task_print(const cJSON *t)
{
	const cJSON *a;
	struct buf result;

	(void)printf("%s  %s  for %s  expires %s%s\n", cli_text(t, "id"), cli_text(t, "type"),
	    cli_text(t, "target"), cli_text(t, "expires"),
	    json_get(t, "canceled") != NULL ? "  canceled" : "");
	cJSON_ArrayForEach(a, json_get(t, "agents"))
	{
		(void)printf("  %-20s  %-11s  way=%s  step=%s  error=%s  push=%s\n",
		    cli_text(a, "host"), cli_text(a, "state"), cli_text(a, "way"),
		    cli_text(a, "step"), cli_text(a, "error"), cli_text(a, "push"));
		if (json_get(a, "result") == NULL)
			continue;
		buf_init(&result, LIMIT_TASK_BYTES);
		if (json_print(json_get(a, "result"), &result) == OK) {
			cli_clean((char *)result.data, result.len);
			(void)printf("      %s\n", buf_text(&result));
		}
		buf_free(&result);
	}
}

static bool
all_done(const cJSON *t)
{
	const cJSON *a;
	const char *state;

	cJSON_ArrayForEach(a, json_get(t, "agents"))
	{
		if (json_get_string(a, "state", &state, NULL) != OK || strcmp(state, "done") != 0)
			return false;
	}
	return true;
}

static int
show_once(struct cli *c, const char *id, struct cli_reply *r)
{
	struct buf path;
	int code = CLI_INTERNAL;

	memset(r, 0, sizeof(*r));
	buf_init(&path, LIMIT_PATH);
	if (buf_printf(&path, "/v1/tasks/%s", id) == OK)
		code = cli_request(c, "GET", buf_text(&path), NULL, 0, 0, r);
	buf_free(&path);
	return code;
}

/* ---- follow: one line for each change of an agent's row ---- */

static void
print_change(struct cli *c, const cJSON *task, const cJSON *a)
{
	const cJSON *more = json_get(a, "result");
	cJSON *line;
	struct buf result;

	if (c->json) {
		line = cJSON_Duplicate(a, 1);
		if (line != NULL && json_add_string(line, "task", cli_text(task, "id")) == OK)
			cli_print_json(line);
		cJSON_Delete(line);
		return;
	}
	if (more == NULL)
		more = json_get(a, "progress");
	buf_init(&result, LIMIT_TASK_BYTES);
	if (more != NULL && json_print(more, &result) != OK)
		buf_reset(&result);
	cli_clean((char *)result.data, result.len);
	(void)printf("%s  %-20s  %-11s  way=%s  step=%s  error=%s  %s\n", cli_text(a, "updated"),
	    cli_text(a, "host"), cli_text(a, "state"), cli_text(a, "way"), cli_text(a, "step"),
	    cli_text(a, "error"), buf_text(&result));
	buf_free(&result);
}

static void
print_changes(struct cli *c, const cJSON *before, const cJSON *task)
{
	const cJSON *a, *rows = json_get(before, "agents"), *old;
	const cJSON *same = rows != NULL ? rows->child : NULL; /* both lists have one order */

	cJSON_ArrayForEach(a, json_get(task, "agents"))
	{
		const cJSON *agent = json_get(a, "agent");

		old = same;
		if (!cJSON_Compare(json_get(old, "agent"), agent, true))
			cJSON_ArrayForEach(old, rows)
			{
				if (cJSON_Compare(json_get(old, "agent"), agent, true))
					break;
			}
		if (old == NULL || !cJSON_Compare(old, a, true))
			print_change(c, task, a);
		same = same != NULL ? same->next : NULL;
	}
	(void)fflush(stdout);
}

/* Until every agent has ended it or the time is over. */
static int
wait_for(struct cli *c, const char *id, uint64_t timeout_ms, bool follow, struct cli_reply *r)
{
	uint64_t end = clock_mono_ms() + timeout_ms, rev = 0, now;
	struct buf path;
	int code;

	buf_init(&path, LIMIT_PATH);
	code = show_once(c, id, r);
	if (code == CLI_OK && json_get_u64(r->body, "rev", JSON_MAX_INT, &rev, NULL) != OK)
		code = CLI_INTERNAL;
	if (code == CLI_OK && follow)
		print_changes(c, NULL, r->body);
	if (code != CLI_OK || cJSON_IsTrue(json_get(r->body, "ended"))) {
		buf_free(&path);
		return code;
	}
	while (code == CLI_OK && (now = clock_mono_ms()) < end) {
		uint64_t step = (end - now + 999) / 1000;
		struct cli_reply next = { 0 };

		if (step > WAIT_STEP_S)
			step = WAIT_STEP_S;
		buf_reset(&path);
		if (buf_printf(&path, "/v1/tasks/%s?wait=%llu&rev=%llu", id,
			(unsigned long long)step, (unsigned long long)rev) != OK)
			code = CLI_INTERNAL;
		else
			code = cli_request(
			    c, "GET", buf_text(&path), NULL, 0, (uint32_t)step * 1000, &next);
		if (code != CLI_OK || next.body == NULL)
			continue;
		if (follow)
			print_changes(c, r->body, next.body);
		cli_reply_free(r);
		*r = next;
		if (json_get_u64(r->body, "rev", JSON_MAX_INT, &rev, NULL) != OK ||
		    cJSON_IsTrue(json_get(r->body, "ended")))
			break;
	}
	buf_free(&path);
	return code;
}

int
cli_task_show(struct cli *c, const char *id)
{
	const char *text = args_value(&c->args, "--timeout");
	uint64_t timeout = 3600000;
	struct cli_reply r;
	bool follow = args_has(&c->args, "--follow"), wait = follow || args_has(&c->args, "--wait");
	int code;

	if (!text_is_uuid(id, strlen(id)))
		return cli_fail(CLI_USAGE, "'%s' is no task id", id);
	if (text != NULL && text_duration_ms(text, strlen(text), &timeout) != OK)
		return cli_fail(CLI_USAGE, "--timeout needs a duration such as 60s");
	code = wait ? wait_for(c, id, timeout, follow, &r) : show_once(c, id, &r);
	if (code != CLI_OK)
		return code;
	if (c->json && !follow)
		cli_print_json(r.body);
	else if (!follow)
		cli_task_print(r.body);
	code = wait && !all_done(r.body) ? CLI_FAILED : CLI_OK;
	cli_reply_free(&r);
	return code;
}
