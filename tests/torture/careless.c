/* careless.c - looks at no allocation's answer: the sweep of allocations must see it crash. */
#include <stdlib.h>
#include <string.h>

int
main(void)
{
	volatile char *copy = strdup("what a careless program keeps");
	volatile char *room = malloc(100);

	room[0] = copy[0];
	free((void *)room);
	free((void *)copy);
	return 0;
}
