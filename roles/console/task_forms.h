/* task_forms.h - the task types as forms: what agents of this version take (agent/task_table.c; a
 * test compares the two), for people who fill them in. Agents judge arguments themselves. */
#ifndef CONSOLE_TASK_FORMS_H
#define CONSOLE_TASK_FORMS_H

#include "base/buf.h"
#include "base/err.h"
#include "proto/authority.h"

/* {"types":[..],"settings":[..]} of web/API.md; a NULL: no authority, nobody may order anything. */
MUST_CHECK enum err task_forms_write(struct buf *out, const struct authority *a);

#endif
