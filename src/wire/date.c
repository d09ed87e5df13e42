/* date.c - between seconds and the date forms of HTTP and of logs. The calendar is computed on
 * days from 1 March of year 0, where the leap day is a year's last (proleptic Gregorian). */
#include "wire/date.h"

enum {
    DAYS_PER_ERA = 146097, /* 400 years                            */
    DAYS_TO_1970 = 719468, /* from 1 March of year 0               */
    SECONDS_PER_DAY = 86400,
    YEAR_MAX = 9999,
    CENTURY_WINDOW = 50, /* RFC 9110 §5.6.7: two-digit years     */
};

/* 0000-01-01 and 9999-12-31T23:59:59: what four digits can say. */
#define UNIX_SEC_MIN INT64_C(-62167219200)
#define UNIX_SEC_MAX INT64_C(253402300799)

static const char DAYS[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char LONG_DAYS[7][10] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday" };
static const char MONTHS[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct calendar {
    unsigned year, month, day, weekday; /* month 1-12, day 1-31, 0 is Sunday */
    unsigned hour, minute, second;
};

static struct calendar calendar_from(int64_t unix_sec)
{
    if (unix_sec < UNIX_SEC_MIN)
        unix_sec = UNIX_SEC_MIN;
    if (unix_sec > UNIX_SEC_MAX)
        unix_sec = UNIX_SEC_MAX;
    /* a whole era is added, so that no division has a negative side */
    int64_t shift = (int64_t)(DAYS_TO_1970 + DAYS_PER_ERA) * SECONDS_PER_DAY;
    uint64_t seconds = (uint64_t)(unix_sec + shift);
    uint32_t days = (uint32_t)(seconds / SECONDS_PER_DAY);
    uint32_t rest = (uint32_t)(seconds % SECONDS_PER_DAY);
    uint32_t era = days / DAYS_PER_ERA, in_era = days % DAYS_PER_ERA;
    uint32_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    uint32_t in_year = in_era - (365 * years + years / 4 - years / 100);
    uint32_t from_march = (5 * in_year + 2) / 153;
    unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct calendar){
        .year = (era - 1) * 400 + years + (month <= 2),
        .month = month,
        .day = in_year - (153 * from_march + 2) / 5 + 1,
        .weekday = (days + 3) % 7, /* 1 March of year 0 was a Wednesday, like all eras' */
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };
}

static int64_t days_from(unsigned year, unsigned month, unsigned day)
{
    uint32_t y = year + 400 - (month <= 2);
    uint32_t in_era = y % 400;
    uint32_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    uint32_t days = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    return (int64_t)(y / 400) * DAYS_PER_ERA + days - DAYS_TO_1970 - DAYS_PER_ERA;
}

static void two(char *into, unsigned n)
{
    into[0] = (char)('0' + n / 10);
    into[1] = (char)('0' + n % 10);
}

static void four(char *into, unsigned n)
{
    two(into, n / 100);
    two(into + 2, n % 100);
}

/* "hh:mm:ss" */
static void clock_put(char *into, const struct calendar *t)
{
    two(into, t->hour);
    into[2] = ':';
    two(into + 3, t->minute);
    into[5] = ':';
    two(into + 6, t->second);
}

/* "+hhmm", with `colon` "+hh:mm" */
static void zone_put(char *into, int offset_min, bool colon)
{
    unsigned minutes = (unsigned)(offset_min < 0 ? -offset_min : offset_min);
    into[0] = offset_min < 0 ? '-' : '+';
    two(into + 1, minutes / 60 % 100);
    if (colon)
        into[3] = ':';
    two(into + (colon ? 4 : 3), minutes % 60);
}

void date_http(int64_t unix_sec, char into[DATE_HTTP_SIZE])
{
    struct calendar t = calendar_from(unix_sec);
    memcpy(into, DAYS[t.weekday], 3);
    memcpy(into + 3, ", ", 2);
    two(into + 5, t.day);
    into[7] = ' ';
    memcpy(into + 8, MONTHS[t.month - 1], 3);
    into[11] = ' ';
    four(into + 12, t.year);
    into[16] = ' ';
    clock_put(into + 17, &t);
    memcpy(into + 25, " GMT", 4);
}

void date_log(int64_t unix_sec, int offset_min, char into[DATE_LOG_SIZE])
{
    struct calendar t = calendar_from(unix_sec + (int64_t)offset_min * 60);
    two(into, t.day);
    into[2] = '/';
    memcpy(into + 3, MONTHS[t.month - 1], 3);
    into[6] = '/';
    four(into + 7, t.year);
    into[11] = ':';
    clock_put(into + 12, &t);
    into[20] = ' ';
    zone_put(into + 21, offset_min, false);
}

void date_iso(int64_t unix_sec, int offset_min, char into[DATE_ISO_SIZE])
{
    struct calendar t = calendar_from(unix_sec + (int64_t)offset_min * 60);
    four(into, t.year);
    into[4] = '-';
    two(into + 5, t.month);
    into[7] = '-';
    two(into + 8, t.day);
    into[10] = 'T';
    clock_put(into + 11, &t);
    zone_put(into + 19, offset_min, true);
}

/* Reads digits of a pattern's run; a blank before a digit counts as 0 (asctime's days). */
static bool digits_from(struct slice s, size_t at, size_t count, bool blank, unsigned *ret)
{
    unsigned value = 0;
    for (size_t i = 0; i < count; i++) {
        char c = s.at[at + i];
        if (c == ' ' && blank && i == 0)
            c = '0';
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (unsigned)(c - '0');
    }
    *ret = value;
    return true;
}

/* Three letters as a number: names are compared in one step. */
static uint32_t three(const char *at)
{
    return (uint32_t)(unsigned char)at[0] | (uint32_t)(unsigned char)at[1] << 8 |
           (uint32_t)(unsigned char)at[2] << 16;
}

static bool month_from(struct slice s, size_t at, unsigned *ret)
{
    uint32_t name = three(s.at + at);
    for (unsigned i = 0; i < COUNT_OF(MONTHS); i++)
        if (name == three(MONTHS[i])) {
            *ret = i + 1;
            return true;
        }
    return false;
}

/* The three forms, behind the day's name: '.' is any byte, others must be equal; then where the
 * parts stand. */
struct form {
    const char *shape;
    uint8_t day, month, year, year_digits, clock;
    bool long_day, blank_day;
};

static const struct form FORMS[] = {
    { ", .. ... .... ..:..:.. GMT", 2, 5, 9, 4, 14, false, false },
    { ", ..-...-.. ..:..:.. GMT", 2, 5, 9, 2, 12, true, false },
    { " ... .. ..:..:.. ....", 5, 1, 17, 4, 8, false, true },
};

static bool shape_fits(struct slice s, const char *shape)
{
    size_t i = 0;
    while (i < s.size && (shape[i] == '.' || shape[i] == s.at[i]) && shape[i] != '\0')
        i++;
    return i == s.size && shape[i] == '\0';
}

static bool cut_day_name(struct slice *s, bool long_day)
{
    for (unsigned i = 0; i < 7 && s->size >= 3; i++) {
        if (three(s->at) != three(DAYS[i]))
            continue; /* the long names begin with the short ones */
        struct slice name = slice_str(long_day ? LONG_DAYS[i] : DAYS[i]);
        if (slice_starts(*s, name)) {
            *s = slice_skip(*s, name.size);
            return true;
        }
    }
    return false;
}

static bool calendar_ok(const struct calendar *t)
{
    static const uint8_t LENGTH[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
    unsigned length = LENGTH[t->month] + (t->month == 2 && leap ? 1u : 0u);
    return t->day >= 1 && t->day <= length && t->hour <= 23 && t->minute <= 59 &&
           t->second <= 60; /* 60: a leap second */
}

/* A year that seems more than 50 years ahead is the most recent one with these digits. */
static unsigned year_full(unsigned two_digits, int64_t now_sec)
{
    unsigned now = calendar_from(now_sec).year;
    unsigned year = now - now % 100 + two_digits;
    unsigned latest = now + CENTURY_WINDOW < YEAR_MAX ? now + CENTURY_WINDOW : YEAR_MAX;
    if (year > latest && year >= 100)
        year -= 100;
    if (year + 100 <= latest)
        year += 100;
    return year;
}

static bool parse_form(struct slice s, const struct form *form, int64_t now_sec, struct calendar *t)
{
    if (!cut_day_name(&s, form->long_day) || !shape_fits(s, form->shape))
        return false;
    if (!digits_from(s, form->day, 2, form->blank_day, &t->day) ||
        !month_from(s, form->month, &t->month) ||
        !digits_from(s, form->year, form->year_digits, false, &t->year) ||
        !digits_from(s, form->clock, 2, false, &t->hour) ||
        !digits_from(s, form->clock + 3u, 2, false, &t->minute) ||
        !digits_from(s, form->clock + 6u, 2, false, &t->second))
        return false;
    if (form->year_digits == 2)
        t->year = year_full(t->year, now_sec);
    return calendar_ok(t);
}

/* Two digits; 255: they are none. */
static unsigned pair(const char *at)
{
    unsigned tens = (unsigned char)at[0] - '0', ones = (unsigned char)at[1] - '0';
    return tens <= 9 && ones <= 9 ? tens * 10 + ones : 255;
}

/* What nearly all dates look like, without loops: "Sun, 06 Nov 1994 08:49:37 GMT". False: FORMS
 * will say what it is. */
static bool parse_usual(struct slice s, struct calendar *t)
{
    const char *at = s.at;
    if (s.size != DATE_HTTP_SIZE || at[3] != ',' || at[4] != ' ' || at[7] != ' ' || at[11] != ' ' ||
        at[16] != ' ' || at[19] != ':' || at[22] != ':' || memcmp(at + 25, " GMT", 4) != 0)
        return false;
    unsigned century = pair(at + 12), year = pair(at + 14);
    t->day = pair(at + 5);
    t->year = century * 100 + year;
    t->hour = pair(at + 17);
    t->minute = pair(at + 20);
    t->second = pair(at + 23);
    s.size = 3;
    return century <= 99 && year <= 99 && month_from(slice_of(at, DATE_HTTP_SIZE), 8, &t->month) &&
           cut_day_name(&s, false) && calendar_ok(t);
}

static int64_t seconds_of(const struct calendar *t)
{
    return days_from(t->year, t->month, t->day) * SECONDS_PER_DAY +
           (int64_t)(t->hour * 3600 + t->minute * 60 + t->second);
}

bool date_parse(struct slice s, int64_t now_sec, int64_t *ret_unix_sec)
{
    struct calendar usual = { 0 };
    if (parse_usual(s, &usual)) {
        *ret_unix_sec = seconds_of(&usual);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        struct calendar t = { 0 };
        if (!parse_form(s, &FORMS[i], now_sec, &t))
            continue;
        *ret_unix_sec = seconds_of(&t);
        return true;
    }
    return false;
}
