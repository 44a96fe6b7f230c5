/* task_handlers.h - one function for each type of task; the table is in task_table.c. Each ends
 * with exactly one task_finish, now or later. */
#ifndef ATALAIA_AGENT_TASK_HANDLERS_H
#define ATALAIA_AGENT_TASK_HANDLERS_H

struct task;

void run_update_now(struct task *t);
void cancel_update_now(struct task *t);
void run_update_cancel(struct task *t);
void run_update_pin(struct task *t);
void run_policy_refresh(struct task *t);
void run_role_set(struct task *t);
void run_scan_start(struct task *t);
void cancel_scan_start(struct task *t);
void run_scan_stop(struct task *t);
void run_quarantine_list(struct task *t);
void run_quarantine_restore(struct task *t);
void run_collect(struct task *t);
void cancel_collect(struct task *t);
void run_status(struct task *t);
void run_doctor(struct task *t);
void cancel_doctor(struct task *t);
void run_agent_restart(struct task *t);
void run_agent_group(struct task *t);

#endif
