/* json.h - the strict JSON reader and the writer helpers. cJSON is used behind it; nobody else may
 * call cJSON_Parse or cJSON_GetObjectItem. RFC 8259, and stricter: refuses duplicate member names,
 * invalid UTF-8, a byte order mark, \u0000, lone surrogates, nesting past 32, numbers with leading
 * zeros, trailing bytes. json_parse never hands out a tree that the scan did not accept. Numbers:
 * JSON_SIGNED accepts integers 0..2^53-1 only; JSON_EVENT accepts any finite RFC 8259 number. Pure;
 * no globals. Integers are read from the text, never through cJSON's valueint. */
#ifndef ATALAIA_BASE_JSON_H
#define ATALAIA_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 32
#define JSON_MAX_INT 9007199254740991ull /* 2^53 - 1 */

enum json_mode { JSON_SIGNED, JSON_EVENT };

/* Scans only. On error *where (may be NULL) is the byte offset and f the sentence. Linear time,
 * bounded memory (duplicate detection included). */
MUST_CHECK enum err json_scan(
    const char *p, size_t n, enum json_mode mode, size_t *where, struct fault *f);
/* Scan, then parse. The caller frees *out with cJSON_Delete. */
MUST_CHECK enum err json_parse(
    cJSON **out, const char *p, size_t n, enum json_mode mode, struct fault *f);

/* Case-sensitive getters. NULL tree, missing member or wrong type: ERR_NOTFOUND / ERR_PARSE with
 * "member 'x' must be a string" in f. */
cJSON *json_get(const cJSON *object,
    const char *name); /* NULL when object is no object or has no such member */
MUST_CHECK enum err json_get_string(const cJSON *object, const char *name, const char **out,
    struct fault *f); /* borrowed from the tree */
MUST_CHECK enum err json_get_u64(
    const cJSON *object, const char *name, uint64_t max, uint64_t *out, struct fault *f);
MUST_CHECK enum err json_get_bool(
    const cJSON *object, const char *name, bool *out, struct fault *f);
MUST_CHECK enum err json_get_object(
    const cJSON *object, const char *name, cJSON **out, struct fault *f);
MUST_CHECK enum err json_get_array(
    const cJSON *object, const char *name, cJSON **out, struct fault *f);
/* Optional members with a default; a wrong type is still an error. */
MUST_CHECK enum err json_opt_string(
    const cJSON *object, const char *name, const char *dflt, const char **out, struct fault *f);
MUST_CHECK enum err json_opt_u64(const cJSON *object, const char *name, uint64_t max, uint64_t dflt,
    uint64_t *out, struct fault *f);
MUST_CHECK enum err json_opt_bool(
    const cJSON *object, const char *name, bool dflt, bool *out, struct fault *f);
/* Name of the first member that is not in the NULL-terminated list, or NULL: for "unknown field"
 * refusals. */
const char *json_unknown_member(const cJSON *object, const char *const *allowed);

/* Builders. json_add_* return ERR_NOMEM and leave the object valid. u64 past 2^53-1 is ERR_TOOBIG.
 * Invalid UTF-8 is ERR_PARSE. */
MUST_CHECK enum err json_add_string(cJSON *object, const char *name, const char *value);
MUST_CHECK enum err json_add_u64(cJSON *object, const char *name, uint64_t value);
MUST_CHECK enum err json_add_bool(cJSON *object, const char *name, bool value);
/* Milliseconds of the epoch as RFC 3339 with milliseconds. */
MUST_CHECK enum err json_add_time(cJSON *object, const char *name, int64_t wall_ms);
MUST_CHECK enum err json_add_object(
    cJSON *object, const char *name, cJSON **out); /* new empty object inside */
MUST_CHECK enum err json_add_array(cJSON *object, const char *name, cJSON **out);
MUST_CHECK enum err json_append_string(cJSON *array, const char *value);
MUST_CHECK enum err json_append(
    cJSON *array_or_null, cJSON *item); /* takes item, also on failure (frees it) */
/* Compact text, no trailing newline; integers are written as integers. */
MUST_CHECK enum err json_print(const cJSON *tree, struct buf *out);
MUST_CHECK enum err json_print_pretty(const cJSON *tree, struct buf *out);
/* Appends s as a JSON string with quotes: for hand-made streams. */
MUST_CHECK enum err json_quote(struct buf *out, const char *s, size_t n);

#endif
