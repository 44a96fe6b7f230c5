/* json_scan.h - shared between the two halves of json.h only. */
#ifndef ATALAIA_BASE_JSON_SCAN_H
#define ATALAIA_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

bool json_number_finite(const char *p, size_t n);

#endif
