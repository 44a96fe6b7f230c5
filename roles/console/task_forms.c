#include "task_forms.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

struct form_arg {
	const char *name, *type, *choices, *help;
	bool required;
};

static const struct form_arg feed_arg[] = {
	{ "feed", "feed", "", "one feed; empty: all", false },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg pin_args[] = {
	{ "feed", "feed", "", "the feed to hold", true },
	{ "version", "number", "", "version that a PC has kept and verified", true },
	{ "until", "time", "", "end of the hold, at most 90 days ahead", true },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg role_args[] = {
	{ "role", "choice", "update-agent", "the role", true },
	{ "on", "bool", "", "on or off", true },
	{ "settings", "settings", "", "options of the role; what is left out has its default",
	    false },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg scan_args[] = {
	{ "paths", "paths", "", "absolute paths, one a line", true },
	{ "quarantine", "bool", "", "move what is found to the vault", false },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg restore_args[] = {
	{ "id", "text", "", "id of the file in the vault, as quarantine.list tells it", true },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg collect_args[] = {
	{ "what", "choices", "system mwav", "system information, the scanner's log", true },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg group_args[] = {
	{ "group", "text", "", "name of the new group: [a-z0-9-]", true },
	{ NULL, NULL, NULL, NULL, false },
};
static const struct form_arg no_args[] = { { NULL, NULL, NULL, NULL, false } };

static const struct form {
	const char *type, *text;
	const struct form_arg *args;
	bool destructive;
} forms[] = {
	{ "update.now", "Update now", feed_arg, false },
	{ "update.cancel", "Stop the update that runs", feed_arg, false },
	{ "update.pin", "Hold or return to an earlier set", pin_args, true },
	{ "policy.refresh", "Fetch policies now", no_args, false },
	{ "role.set", "Make it an update agent, or end that", role_args, true },
	{ "scan.start", "Scan files", scan_args, false },
	{ "scan.stop", "Stop the scan", no_args, false },
	{ "quarantine.list", "List the vault", no_args, false },
	{ "quarantine.restore", "Give a file back from the vault", restore_args, true },
	{ "collect", "Fetch system information and log", collect_args, false },
	{ "status", "Ask for its status", no_args, false },
	{ "doctor", "Ask what is wrong there", no_args, false },
	{ "agent.restart", "Restart the agent", no_args, true },
	{ "agent.group", "Move it to another group", group_args, true },
};

/* Options of role.set that people change; the agent takes every option of the role. */
static const struct {
	const char *name, *type, *dflt, *help;
} settings[] = {
	{ "mode", "choice", "mirror",
	    "mirror: takes from upstream; origin: serves what is published" },
	{ "listen", "text", "", "addresses to listen on; empty: all" },
	{ "version_port", "number", "3333", "port of the version answer" },
	{ "ftp_port", "number", "2021", "port of FTP" },
	{ "http_port", "text", "", "port of HTTP, usually 2221; empty: no HTTP" },
	{ "passive_first", "number", "3400", "first port of the passive range; 0: any free port" },
	{ "passive_count", "number", "600", "how many ports the passive range has" },
	{ "passive_address", "text", "", "public IPv4 address for peers behind NAT" },
	{ "local_networks", "text", "", "networks that reach this PC without NAT" },
	{ "max_sessions", "number", "500", "FTP sessions at a time" },
	{ "max_sessions_per_address", "number", "20", "FTP sessions of one address" },
	{ "outgoing_budget", "size", "0",
	    "bytes a second for downloads after a publication; 0: all" },
	{ "dropbox", "path", "", "folder for uploads; empty: none" },
};

static enum err
put_words(struct buf *out, const char *words)
{
	enum err e = buf_puts(out, ",\"choices\":[");
	const char *comma = "";

	while (e == OK && *words != '\0') {
		size_t n = strcspn(words, " ");

		e = buf_printf(out, "%s\"%.*s\"", comma, (int)n, words);
		comma = ",";
		words += n;
		words += strspn(words, " ");
	}
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
put_args(struct buf *out, const struct form_arg *a)
{
	enum err e = buf_puts(out, ",\"args\":[");

	for (const char *comma = ""; e == OK && a->name != NULL; a++, comma = ",") {
		e = buf_printf(out,
		    "%s{\"name\":\"%s\",\"type\":\"%s\",\"required\":%s,\"help\":\"%s\"", comma,
		    a->name, a->type, a->required ? "true" : "false", a->help);
		if (e == OK && a->choices[0] != '\0')
			e = put_words(out, a->choices);
		if (e == OK)
			e = buf_puts(out, "}");
	}
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
put_signers(struct buf *out, const struct signers *s)
{
	enum err e = buf_printf(
	    out, ",\"signatures\":%" PRIu64 ",\"keyids\":[", s != NULL ? s->threshold : 0);

	for (size_t i = 0; e == OK && s != NULL && i < s->n; i++)
		e = buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", key_id(s->keys[i]));
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
put_settings(struct buf *out)
{
	enum err e = buf_puts(out, "],\"settings\":[");

	for (size_t i = 0; e == OK && i < sizeof(settings) / sizeof(settings[0]); i++)
		e = buf_printf(out,
		    "%s{\"name\":\"%s\",\"type\":\"%s\",\"default\":\"%s\",\"help\":\"%s\"%s}",
		    i > 0 ? "," : "", settings[i].name, settings[i].type, settings[i].dflt,
		    settings[i].help,
		    strcmp(settings[i].name, "mode") == 0 ? ",\"choices\":[\"mirror\",\"origin\"]"
							  : "");
	return e == OK ? buf_puts(out, "]}") : e;
}

enum err
task_forms_write(struct buf *out, const struct authority *a)
{
	enum err e = buf_puts(out, "{\"types\":[");

	for (size_t i = 0; e == OK && i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];

		e = buf_printf(out, "%s{\"type\":\"%s\",\"text\":\"%s\",\"destructive\":%s",
		    i > 0 ? "," : "", f->type, f->text, f->destructive ? "true" : "false");
		if (e == OK)
			e = put_args(out, f->args);
		if (e == OK)
			e = put_signers(out, a != NULL ? authority_signers(a, f->type) : NULL);
		if (e == OK)
			e = buf_puts(out, "}");
	}
	return e == OK ? put_settings(out) : e;
}
