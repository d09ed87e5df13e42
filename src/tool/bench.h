/* bench.h - `weir bench`: a load generator on weir's own loops. */
#ifndef TOOL_BENCH_H
#define TOOL_BENCH_H

/* argv[0] is "bench". Resolves the URL's host once, runs, prints and writes what was asked for.
 * Returns the exit status: 0, 1 if the run could not be made or nothing was answered, 2 after a
 * wrong word. */
int tool_bench(int argc, char **argv);

#endif
