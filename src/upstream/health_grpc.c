/* health_grpc.c - type=grpc: the call Check of the service grpc.health.v1.Health
 * (github.com/grpc/grpc: doc/health-checking.md), whose messages are of a field each.
 */
#include "http/site.h"
#include "upstream/health_private.h"
#include "upstream/relay.h"

enum {
    PREFIX_SIZE = 5, /* of a message: not compressed, four bytes of size                  */
    SERVICE_MAX = 127,
    SERVICE_FIELD = 0x0a, /* HealthCheckRequest.service, a text                           */
    STATUS_FIELD = 0x08,  /* HealthCheckResponse.status, a number …                       */
    SERVING = 1,
};

struct slice health_grpc_message(struct arena *arena, struct slice service)
{
    size_t size = service.size > 0 ? 2 + service.size : 0;
    char *at = service.size <= SERVICE_MAX ? arena_bytes(arena, PREFIX_SIZE + size) : NULL;

    if (at == NULL)
        return (struct slice){ 0 };
    memset(at, 0, PREFIX_SIZE);
    at[PREFIX_SIZE - 1] = (char)size;
    if (size > 0) {
        at[PREFIX_SIZE] = SERVICE_FIELD;
        at[PREFIX_SIZE + 1] = (char)service.size;
        memcpy(at + PREFIX_SIZE + 2, service.at, service.size);
    }
    return slice_of(at, PREFIX_SIZE + size);
}

bool health_grpc_prepare(struct request *r, const struct health *h)
{
    struct field *f = arena_zalloc(&r->arena, 3 * sizeof *f);

    (void)h;
    if (f == NULL)
        return false;
    f[0] = r->head.fields[0]; /* Host */
    f[1] = (struct field){ .name = SLICE("Content-Type"),
                           .value = SLICE("application/grpc"),
                           .id = FIELD_CONTENT_TYPE };
    f[2] = (struct field){ .name = SLICE("TE"), .value = SLICE("trailers"), .id = FIELD_TE };
    r->head.fields = f;
    r->head.field_count = 3;
    r->head.known[FIELD_HOST] = &f[0];
    r->head.known[FIELD_CONTENT_TYPE] = &f[1];
    r->head.known[FIELD_TE] = &f[2];
    r->head.method = METHOD_POST;
    r->head.method_text = SLICE("POST");
    request_set_uri(r, SLICE("/grpc.health.v1.Health/Check"));
    r->args = (struct slice){ 0 };
    return true;
}

/* A call's end, which stands behind the body, or in a head that is all of the answer. */
static bool find_status(const struct field *f, uint32_t count, uint64_t *ret)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_eq_nocase(f[i].name, SLICE("grpc-status")))
            return slice_to_u64(f[i].value, UINT16_MAX, ret);
    return false;
}

static bool is_serving(struct slice body)
{
    return body.size == PREFIX_SIZE + 2 && body.at[0] == 0 &&
           body.at[PREFIX_SIZE] == STATUS_FIELD && body.at[PREFIX_SIZE + 1] == SERVING;
}

const char *health_grpc_judge(const struct health *h, const struct request *r, struct slice body)
{
    const struct relay *y = r->slots[SLOT_LAST_RELAY];
    uint64_t status;

    if (r->response.status != 200 || y == NULL)
        return "status code";
    if (!find_status(y->trailers, y->trailer_count, &status) &&
        !find_status(y->fields, y->field_count, &status))
        return "grpc-status, of which there is none";
    if (status != (uint64_t)h->grpc_status)
        return "grpc-status";
    return status != 0 || is_serving(body) ? NULL : "the service, which is not SERVING";
}
