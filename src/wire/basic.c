/* basic.c - Authorization: Basic, read. */
#include "wire/basic.h"

/* -1 if c is no digit of base64. */
static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct slice text, char *into, size_t room)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t used = 0;

    while (text.size > 0 && text.at[text.size - 1] == '=')
        text.size--;
    if (text.size % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        int value = digit(text.at[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        if (used == room)
            return -1;
        into[used++] = (char)(bits >> count & 0xff);
    }
    return (int)used;
}

bool basic_read(struct slice value, struct basic_words *ret)
{
    struct slice scheme = slice_cut(&value, ' ');
    int size;

    if (!slice_eq_nocase(scheme, SLICE("Basic")))
        return false;
    size = base64_decode(slice_trim(value), ret->text, BASIC_MAX);
    if (size < 0)
        return false;
    struct slice all = slice_of(ret->text, (size_t)size);
    size_t colon = slice_find(all, ':');

    if (colon == 0 || colon == all.size || slice_find(all, '\0') < all.size)
        return false;
    ret->text[colon] = '\0';
    ret->text[size] = '\0';
    ret->user = slice_head(all, colon);
    ret->password = slice_skip(all, colon + 1);
    return true;
}
