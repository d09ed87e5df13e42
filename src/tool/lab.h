/* lab.h - `weir lab`: the experiments that are installed beside the server, in Python.
 *
 *   weir lab list                 the experiments
 *   weir lab run NAME             one of them; charts and a report in ./lab-results
 */
#ifndef TOOL_LAB_H
#define TOOL_LAB_H

/* argv[0] is "lab". Becomes the lab (execve(2)) with the other arguments, WEIR naming this binary;
 * the directory WEIR_LAB, if set, is run instead of the installed one. Returns only if that
 * cannot be: the exit status, having said why. Borrows argv. */
int tool_lab(int argc, char **argv);

#endif
