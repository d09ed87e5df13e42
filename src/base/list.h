/* list.h - doubly linked, intrusive: the link is a member of what is listed.
 *
 *   struct list idle;   list_init(&idle);
 *   list_append(&idle, &conn->link);
 *   list_remove(&conn->link);                 also when the list is not at hand
 *   for (struct link *l = idle.head.next; l != &idle.head; l = l->next) ...
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>

struct link {
    struct link *next, *prev; /* both NULL: in no list */
};

struct list {
    struct link head;
};

static inline void list_init(struct list *l)
{
    l->head.next = l->head.prev = &l->head;
}

static inline bool list_empty(const struct list *l)
{
    return l->head.next == &l->head;
}

static inline bool list_linked(const struct link *k)
{
    return k->next != NULL;
}

static inline void list_insert_before(struct link *where, struct link *k)
{
    DCHECK(!list_linked(k));
    k->next = where;
    k->prev = where->prev;
    where->prev->next = k;
    where->prev = k;
}

static inline void list_append(struct list *l, struct link *k)
{
    list_insert_before(&l->head, k);
}

static inline void list_prepend(struct list *l, struct link *k)
{
    list_insert_before(l->head.next, k);
}

/* Does nothing to a link that is in no list. */
static inline void list_remove(struct link *k)
{
    if (!list_linked(k))
        return;
    k->prev->next = k->next;
    k->next->prev = k->prev;
    k->next = k->prev = NULL;
}

static inline struct link *list_first(struct list *l)
{
    return list_empty(l) ? NULL : l->head.next;
}

/* All of `from`, in their order, go behind what is in `l`. */
static inline void list_append_all(struct list *l, struct list *from)
{
    struct link *k;

    while ((k = list_first(from)) != NULL) {
        list_remove(k);
        list_append(l, k);
    }
}

#endif
