/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs a fuzz target over the files of a directory, without the fuzzer: what was found once stays found. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	unsigned files = 0;

	while (dir && (entry = readdir(dir))) {
		struct text path = { 0 };
		char *bytes, *exact;
		size_t n;

		if (entry->d_name[0] == '.')
			continue;
		text_printf(&path, "%s/%s", argv[1], entry->d_name);
		if (text_load(path.at, 1 << 20, &bytes, &n) < 0) {
			fprintf(stderr, "%s cannot be read\n", path.at);
			return 1;
		}
		fprintf(stderr, "%s\n", path.at);
		exact = malloc(n ? n : 1);	/* no zero byte behind, as the fuzzer gives it */
		if (!exact)
			return 1;
		memcpy(exact, bytes, n);
		LLVMFuzzerTestOneInput((const uint8_t *)exact, n);
		free(exact);
		free(bytes);
		text_free(&path);
		files++;
	}
	if (dir)
		closedir(dir);
	if (!files)
		fprintf(stderr, "usage: %s DIRECTORY, which holds at least one file\n", argv[0]);
	return !files;
}
