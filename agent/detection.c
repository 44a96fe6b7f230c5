#include "detection.h"

#include "base/err.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define OCSF_VERSION "1.3.0"
#define CLASS_DETECTION_FINDING 2004
#define ACTIVITY_CREATE 1
#define ACTIVITY_CLOSE 3
#define SEVERITY_HIGH 4
#define HASH_ALGORITHM_SHA256 3
#define FILE_TYPE_REGULAR 1
#define DISPOSITION_QUARANTINED 3
#define DISPOSITION_DETECTED 15

static enum err
add_head(cJSON *o, int64_t time_ms, unsigned activity)
{
	enum err e = json_add_u64(o, "category_uid", 2);

	if (e == OK)
		e = json_add_string(o, "category_name", "Findings");
	if (e == OK)
		e = json_add_u64(o, "class_uid", CLASS_DETECTION_FINDING);
	if (e == OK)
		e = json_add_string(o, "class_name", "Detection Finding");
	if (e == OK)
		e = json_add_u64(o, "activity_id", activity);
	if (e == OK)
		e = json_add_u64(o, "type_uid", CLASS_DETECTION_FINDING * 100 + activity);
	if (e == OK)
		e = json_add_u64(o, "severity_id", SEVERITY_HIGH);
	if (e == OK)
		e = json_add_u64(o, "status_id", activity == ACTIVITY_CLOSE ? 4 : 1);
	return e == OK ? json_add_u64(o, "time", (uint64_t)time_ms) : e;
}

static enum err
add_metadata(cJSON *o, const char *task)
{
	cJSON *m, *product, *profiles;
	enum err e = json_add_object(o, "metadata", &m);

	if (e == OK)
		e = json_add_string(m, "version", OCSF_VERSION);
	if (e == OK)
		e = json_add_array(m, "profiles", &profiles);
	if (e == OK)
		e = json_append_string(profiles, "security_control");
	if (e == OK)
		e = json_add_object(m, "product", &product);
	if (e == OK)
		e = json_add_string(product, "name", "Atalaia");
	if (e == OK)
		e = json_add_string(product, "vendor_name", "Atalaia");
	if (e == OK)
		e = json_add_string(product, "version", ATALAIA_VERSION);
	return e == OK && task != NULL ? json_add_string(m, "correlation_uid", task) : e;
}

static enum err
add_finding(cJSON *o, const char *uid, int64_t time_ms, const char *title, const char *type)
{
	cJSON *m, *types;
	enum err e = json_add_object(o, "finding_info", &m);

	if (e == OK)
		e = json_add_string(m, "uid", uid);
	if (e == OK)
		e = json_add_string(m, "title", title);
	if (e == OK)
		e = json_add_u64(m, "created_time", (uint64_t)time_ms);
	if (e == OK)
		e = json_add_array(m, "types", &types);
	return e == OK ? json_append_string(types, type) : e;
}

static enum err
add_malware(cJSON *o, const struct detection *d)
{
	cJSON *list, *m = cJSON_CreateObject(), *ids;
	enum err e = m == NULL ? ERR_NOMEM : json_add_array(o, "malware", &list);

	if (e != OK) {
		cJSON_Delete(m);
		return e;
	}
	e = json_append(list, m);
	if (e == OK)
		e = json_add_string(m, "name", d->signature);
	if (e == OK)
		e = json_add_string(m, "provider", d->engine);
	if (e == OK)
		e = json_add_array(m, "classification_ids", &ids);
	if (e == OK) /* 0: unknown; the engine tells a name only */
		e = json_append(ids, cJSON_CreateNumber(0));
	return e;
}

static enum err
add_hash(cJSON *file, const char *sha256)
{
	cJSON *list, *h = cJSON_CreateObject();
	enum err e = h == NULL ? ERR_NOMEM : json_add_array(file, "hashes", &list);

	if (e != OK) {
		cJSON_Delete(h);
		return e;
	}
	e = json_append(list, h);
	if (e == OK)
		e = json_add_u64(h, "algorithm_id", HASH_ALGORITHM_SHA256);
	if (e == OK)
		e = json_add_string(h, "algorithm", "SHA-256");
	return e == OK ? json_add_string(h, "value", sha256) : e;
}

static enum err
fill_file(cJSON *file, const struct detection *d)
{
	const char *name = strrchr(d->path, '/');
	enum err e = json_add_string(file, "path", d->path);

	if (e == OK)
		e = json_add_string(file, "name", name != NULL ? name + 1 : d->path);
	if (e == OK)
		e = json_add_u64(file, "type_id", FILE_TYPE_REGULAR);
	if (e == OK)
		e = json_add_u64(file, "size", d->size);
	if (e == OK && d->mtime_s > 0)
		e = json_add_u64(file, "modified_time", (uint64_t)d->mtime_s * 1000);
	return e == OK && d->sha256 != NULL ? add_hash(file, d->sha256) : e;
}

static enum err
add_evidence(cJSON *o, const struct detection *d)
{
	cJSON *list, *m = cJSON_CreateObject(), *file;
	enum err e = m == NULL ? ERR_NOMEM : json_add_array(o, "evidences", &list);

	if (e != OK) {
		cJSON_Delete(m);
		return e;
	}
	e = json_append(list, m);
	if (e == OK)
		e = json_add_object(m, "file", &file);
	return e == OK ? fill_file(file, d) : e;
}

/* What OCSF has no name for. */
static enum err
add_ours(cJSON *o, const struct detection *d)
{
	cJSON *m;
	enum err e = json_add_object(o, "unmapped", &m);

	if (e == OK && d->engine_version != NULL)
		e = json_add_string(m, "engine_version", d->engine_version);
	if (e == OK && d->task != NULL)
		e = json_add_string(m, "task", d->task);
	if (e == OK && d->quarantine != NULL)
		e = json_add_string(m, "quarantine_id", d->quarantine);
	if (e == OK && d->quarantine_error != NULL)
		e = json_add_string(m, "quarantine_error", d->quarantine_error);
	return e;
}

cJSON *
detection_event(const struct detection *d)
{
	char title[300];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : add_head(o, d->time_ms, ACTIVITY_CREATE);

	(void)snprintf(title, sizeof title, "Malware found: %s", d->signature);
	if (e == OK)
		e = add_metadata(o, d->task);
	if (e == OK)
		e = add_finding(o, d->uid, d->time_ms, title, "malware");
	if (e == OK)
		e = add_malware(o, d);
	if (e == OK)
		e = add_evidence(o, d);
	if (e == OK)
		e = json_add_u64(o, "disposition_id",
		    d->quarantine != NULL ? DISPOSITION_QUARANTINED : DISPOSITION_DETECTED);
	if (e == OK)
		e = json_add_string(
		    o, "disposition", d->quarantine != NULL ? "Quarantined" : "Detected");
	if (e == OK)
		e = add_ours(o, d);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static enum err
add_change(cJSON *o, const struct tampering *t)
{
	cJSON *m;
	enum err e = json_add_object(o, "unmapped", &m);

	if (e == OK)
		e = json_add_string(m, "kind", t->kind);
	if (e == OK)
		e = json_add_string(m, "name", t->name);
	if (e == OK && t->before != NULL)
		e = json_add_string(m, "before", t->before);
	return e == OK && t->now != NULL ? json_add_string(m, "now", t->now) : e;
}

cJSON *
detection_tampering(const struct tampering *t)
{
	char title[600];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM
			       : add_head(o, t->time_ms, t->end ? ACTIVITY_CLOSE : ACTIVITY_CREATE);

	(void)snprintf(title, sizeof title, "%s: %s %s",
	    t->end ? "Tampering ended" : "Tampering found", t->kind, t->name);
	if (e == OK)
		e = add_metadata(o, NULL);
	if (e == OK)
		e = add_finding(o, t->uid, t->time_ms, title, "tampering");
	if (e == OK)
		e = add_change(o, t);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}
