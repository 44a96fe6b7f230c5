/* test.h - what every cmocka program includes. */
#ifndef ATALAIA_TESTS_TEST_H
#define ATALAIA_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A heap copy of exactly n bytes, so that ASan and valgrind see a read past the end. */
static inline char *
test_copy(const void *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

#endif
