/* check.c - the panic report: what was untrue, where, in which build, and what came before. */
#include "base/check.h"

#include "base/gather.h"
#include "base/trace.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOTE_ALIGN = 4 };

static _Atomic(check_hook_fn *) panic_hook;
static _Thread_local bool panicking;

void check_on_panic(check_hook_fn *hook)
{
    atomic_store(&panic_hook, hook);
}

static size_t note_round(size_t n)
{
    return (n + NOTE_ALIGN - 1) & ~(size_t)(NOTE_ALIGN - 1);
}

/* The linker leaves the build id in a note of the program's first object. */
static int build_id_find(struct dl_phdr_info *object, size_t size, void *ret)
{
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE)
            continue;
        const char *at = (const char *)object->dlpi_addr + segment->p_vaddr;
        const char *end = at + segment->p_memsz;
        while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) note;
            memcpy(&note, at, sizeof note);
            const char *id = at + sizeof note + note_round(note.n_namesz);
            if (note.n_type == NT_GNU_BUILD_ID) {
                *(struct slice *)ret = slice_of(id, note.n_descsz);
                return 1;
            }
            at = id + note_round(note.n_descsz);
        }
    }
    return 1; /* the program itself is the first object; no other matters */
}

static void gather_build_id(struct gather *g)
{
    struct slice id = { 0 };
    dl_iterate_phdr(build_id_find, &id);
    gather_lit(g, "  build ");
    gather_hex_bytes(g, id.at, id.size);
    gather_lit(g, "\n");
}

void check_failed(const char *what, const char *file, int line, const char *func)
{
    if (panicking) /* the report itself failed */
        abort();
    panicking = true;
    char space[1024];
    struct gather g;
    gather_init(&g, space, sizeof space, NULL, 0);
    gather_lit(&g, "weir: PANIC: this must be true and is not: ");
    gather_str(&g, what);
    gather_lit(&g, "\n  in ");
    gather_str(&g, func);
    gather_lit(&g, "(), ");
    gather_str(&g, file);
    gather_lit(&g, ":");
    gather_i64(&g, line);
    gather_lit(&g, "\n  process ");
    gather_i64(&g, getpid());
    gather_lit(&g, ", thread ");
    gather_i64(&g, gettid());
    gather_lit(&g, "\n");
    gather_build_id(&g);
    if (write(STDERR_FILENO, g.at, g.used) < 0)
        abort();
    check_hook_fn *hook = atomic_load(&panic_hook);
    if (hook != NULL)
        hook(STDERR_FILENO);
    trace_dump(STDERR_FILENO);
    abort();
}
