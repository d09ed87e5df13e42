/* fuzz_authority.c - any bytes as an authority: an accepted host is lower case, has no byte that
 * means something elsewhere, could not climb as a directory's name, and is accepted again as
 * itself.
 */
#include "wire/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct slice host, again;
    uint16_t port, port_again;
    char *copy = malloc(size + (size == 0)), *into = malloc(size + (size == 0));
    char *into_again = malloc(size + (size == 0));
    CHECK(copy != NULL && into != NULL && into_again != NULL);
    memcpy(copy, bytes, size);
    if (uri_authority(slice_of(copy, size), into, &host, &port) == URI_OK) {
        CHECK(host.size > 0 && host.size <= size);
        for (size_t i = 0; i < host.size; i++)
            CHECK(host.at[i] > ' ' && host.at[i] < 0x7f &&
                  strchr("/\\?#@%\"<>", host.at[i]) == NULL &&
                  !(host.at[i] >= 'A' && host.at[i] <= 'Z'));
        CHECK(slice_search(host, SLICE("..")) == host.size && host.at[0] != '.');
        CHECK(uri_authority(host, into_again, &again, &port_again) == URI_OK);
        CHECK(slice_eq(host, again) && port_again == 0);
    }
    free(copy);
    free(into);
    free(into_again);
    return 0;
}
