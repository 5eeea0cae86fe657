/* SPDX-License-Identifier: BSD-2-Clause */
/* Says what is mounted at /, and what making a file there comes to; then ends with the number of its arguments. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    char device[64], point[64], type[64], options[256];
    FILE *mounts = fopen("/proc/mounts", "r");

    (void)arguments;
    while (mounts != NULL && fscanf(mounts, "%63s %63s %63s %255s %*d %*d", device, point, type, options) == 4)
        if (strcmp(point, "/") == 0)
            printf("root: %s %s\n", type, options);
    printf("a file: %s\n", open("/new", O_CREAT | O_WRONLY, 0600) < 0 ? strerror(errno) : "made");
    printf("a second disk: %s\n", open("/dev/xvdb", O_RDONLY) < 0 ? strerror(errno) : "there");
    return count - 1;
}
