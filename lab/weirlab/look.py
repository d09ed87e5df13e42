"""How things look: one colour for each engine and server, in every chart and table."""

# (light, dark): told apart by people who cannot tell red from green
COLOURS = {
    'io_uring': ('#c2410c', '#fb923c'),
    'epoll': ('#1d4ed8', '#7aa7ff'),
    'poll': ('#0f766e', '#3fcabb'),
    'select': ('#a16207', '#e2b93b'),
    'threads': ('#7e22ce', '#c792ea'),
    'nginx': ('#15803d', '#6cc87a'),
    'h2o': ('#0e7490', '#58c4dc'),
    'lighttpd': ('#4d7c0f', '#a3cf56'),
    'apache': ('#be123c', '#ff7d97'),
    'haproxy': ('#854d8b', '#d79bdc'),
    'caddy': ('#475569', '#a3b3c7'),
}
SPARE = (('#334155', '#cbd5e1'), ('#9d174d', '#f9a8d4'), ('#3f6212', '#bef264'),
         ('#155e75', '#a5f3fc'), ('#57534e', '#d6d3d1'), ('#854d0e', '#fde68a'))


def colours(names):
    """{name: (light, dark)}: the colour of the first known word in the name, else a spare one.

    Two names with the same word in one plan would look alike; the later one takes a spare colour.
    """
    out, spare = {}, iter(SPARE * (len(names) // len(SPARE) + 1))
    for name in names:
        known = next((COLOURS[w] for w in name.replace(',', ' ').split() if w in COLOURS), None)
        out[name] = known if known and known not in out.values() else next(spare)
    return out


def figure(value):
    """A number as one reads it: three digits, or whole thousands with a thin space."""
    if value is None:
        return ''
    if value == 0:
        return '0'
    size = abs(value)
    if size >= 1000:
        return f'{value:,.0f}'.replace(',', '\u2009')
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f'{value:.{digits}f}'


def runs(result):
    """How often and for how long it was measured."""
    n = result['repetitions']
    return f'{n} run{"s" if n > 1 else ""} of {result["seconds"]:g} s each'


def place(plan, x):
    if type(x) is bool:
        return 'yes' if x else 'no'
    return f'{x:,}'.replace(',', '\u2009') if type(x) is int else str(x)
