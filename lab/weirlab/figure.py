"""Charts as inline SVG for the report: lines over numbers, rows of dots over words.

Colours are CSS variables (--c0 …), so that light and dark have their own. Whatever can be pointed
at carries its text in data-tip.
"""
import html
import math

from .look import figure as number, place
from .metrics import METRICS

WIDE, NARROW, HIGH = 760, 372, 300
LEFT, TOP, BOTTOM = 54, 14, 46
LABEL_STEP = 15
ROWS_FROM = 8   # as many subjects are rows, not lines


def escape(text):
    return html.escape(str(text), quote=True)


class Scale:
    """Numbers to pixels, linear or logarithmic; 0 on a logarithmic one is a step before the least."""

    def __init__(self, values, low, high, log):
        self.log = log
        least = min((v for v in values if v > 0), default=1)
        most = max(max(values, default=1), least)
        if log:
            self.zero = math.log10(least) - 0.5 if 0 in values else math.log10(least)
            self.least = least
            self.start, self.end = self.zero, math.log10(most)
        else:
            self.start, self.end = 0, most
        if self.end <= self.start:
            self.end = self.start + 1
        self.low, self.high = low, high

    def __call__(self, value):
        at = value
        if self.log:
            at = math.log10(value) if value > 0 else self.zero
        return self.low + (at - self.start) / (self.end - self.start) * (self.high - self.low)


def nice_top(values, log):
    """Values with a round largest one (and, on a logarithmic scale, a round least one)."""
    most = max(values, default=1) or 1
    if log:
        least = min((v for v in values if v > 0), default=1)
        return [nice(least * 0.8, down=True), nice(most * 1.05)]
    return [0, nice(most * 1.08)]


def nice(value, down=False):
    power = 10 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    if down:
        return power * max(s for s in (1, 2, 5) if power * s <= value)
    return power * min(s for s in steps if power * s >= value * 0.999)


def ticks(low, high, log):
    if not log:
        step = nice(high / 5)
        return [n * step for n in range(int(high / step + 1e-9) + 1)]
    found, power = [], math.floor(math.log10(low))
    while 10 ** power <= high * 1.001:
        found += [10 ** power * m for m in (1, 2, 5) if low * 0.999 <= 10 ** power * m <= high * 1.001]
        power += 1
    return found if len(found) <= 8 else [t for t in found if abs(math.log10(t) % 1) < 1e-9]


def rows_at(result, metric, panel):
    return [r for r in result['summary']['rows'] if (r['metric'], r['panel']) == (metric, panel)]


def told(row, metric):
    """One line of a tip: the median, its interval, the ratio to the reference."""
    unit = METRICS[metric].unit
    line = f'{number(row["median"])} {unit}'.strip()
    if row['low'] is not None:
        line += f' ({number(row["low"])} to {number(row["high"])})'
    other = row.get('to_reference')
    if other:
        line += f', ×{other["ratio"]:.2f}'
    return line + (', client-bound' if row['client_bound'] and METRICS[metric].client else '')


def by_rows(result):
    plan = result['plan']
    words = not all(type(x) in (int, float) for x in plan['x']['values'])
    return words or len(plan['subjects']) >= ROWS_FROM


def chart(result, metric):
    """The whole figure: one SVG for each panel; '' when there is nothing to show."""
    plan = result['plan']
    panels = plan['panel']['values'] if plan['panel'] else [None]
    rows = [r for r in result['summary']['rows'] if r['metric'] == metric]
    if not rows:
        return ''
    if by_rows(result):
        return ''.join(dots(result, metric, panel, x, rows) for panel in panels
                       for x in plan['x']['values'])
    tops = [r['high'] if r['high'] is not None else r['median'] for r in rows]
    lows = [r['low'] if r['low'] is not None else r['median'] for r in rows]
    log = plan['chart']['y_scale'] == 'log' and min(lows) > 0
    return ''.join(lines(result, metric, panel, nice_top(tops + lows, log), log,
                         WIDE if len(panels) == 1 else NARROW) for panel in panels)


def head_of(result, panel):
    if panel is None:
        return ''
    plan = result['plan']
    return f'<h4>{escape(plan["panel"]["label"])}: {escape(place(plan, panel))}</h4>'


def lines(result, metric, panel, span, y_log, width):
    plan = result['plan']
    names = [s['name'] for s in plan['subjects']]
    xs, rows = plan['x']['values'], rows_at(result, metric, panel)
    right = width - 96
    x = Scale(xs, LEFT + 8, right, plan['chart']['x_scale'] == 'log')
    y = Scale(span, HIGH - BOTTOM, TOP, y_log)
    if y_log:
        y.start, y.end = math.log10(span[0]), math.log10(span[1])
    out = [f'<figure>{head_of(result, panel)}<svg viewBox="0 0 {width} {HIGH}" role="img" '
           f'aria-label="{escape(plan["title"])}: {escape(METRICS[metric].label)}">']
    for t in ticks(span[0], span[1], y_log):
        out.append(f'<path class="grid" d="M{LEFT} {y(t):.1f}H{right + 8}"/>'
                   f'<text class="tick" x="{LEFT - 8}" y="{y(t) + 4:.1f}" text-anchor="end">'
                   f'{number(t) if t >= 1000 else f"{t:g}"}</text>')
    last = -1000
    for value in xs:
        at, word = x(value), place(plan, value)
        if at - last > 7 * len(word) + 10:
            last = at
            out.append(f'<text class="tick" x="{at:.1f}" y="{HIGH - BOTTOM + 18}" '
                       f'text-anchor="middle">{word}</text>')
    out.append(f'<text class="axis" x="{(LEFT + right) / 2:.0f}" y="{HIGH - 6}" '
               f'text-anchor="middle">{escape(plan["x"]["label"])}</text>')
    ends = []
    for n, name in enumerate(names):
        mine = [r for r in rows if r['subject'] == name]
        if mine:
            out.append(series(mine, n, x, y, metric))
            ends.append([y(mine[-1]['median']), x(mine[-1]['x']), n, name])
    out += [*labels(ends, plan, right), *columns(result, metric, rows, x, width), '</svg></figure>']
    return ''.join(out)


def series(rows, n, x, y, metric):
    """The band of the intervals, the line of the medians, a dot each; client-bound ones are hollow."""
    lows = [(x(r['x']), y(r['low'] if r['low'] is not None else r['median'])) for r in rows]
    highs = [(x(r['x']), y(r['high'] if r['high'] is not None else r['median'])) for r in rows]
    path = ' '.join(f'{a:.1f},{b:.1f}' for a, b in lows + highs[::-1])
    line = ' '.join(f'{x(r["x"]):.1f},{y(r["median"]):.1f}' for r in rows)
    spots = ''.join(f'<circle class="{"hollow" if r["client_bound"] and METRICS[metric].client else ""}"'
                    f' cx="{x(r["x"]):.1f}" cy="{y(r["median"]):.1f}" r="3"/>' for r in rows)
    return (f'<g class="s" style="--c:var(--c{n})"><polygon points="{path}"/>'
            f'<polyline points="{line}"/>{spots}</g>')


def labels(ends, plan, right):
    """Names at the ends of their lines, pushed apart; one that ends early says why."""
    ends.sort()
    at = TOP - LABEL_STEP
    for end in ends:
        end.append(max(end[0], at + LABEL_STEP))
        at = end[-1]
    over = max(0, at - (HIGH - BOTTOM))
    for y, x, n, name, label in ends:
        subject = next(s for s in plan['subjects'] if s['name'] == name)
        label -= over
        early = subject['ends_at'] is not None and max(plan['x']['values']) > subject['ends_at']
        if early:
            yield (f'<g style="--c:var(--c{n})" tabindex="0" data-tip="{escape(name)} ends here\n'
                   f'{escape(subject["why"])}"><circle class="end" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
                   '</g>')
        yield (f'<path class="lead" d="M{(x if not early else right) + 5:.1f} '
               f'{y if not early else label:.1f}L{right + 14} {label:.1f}"/>'
               f'<text class="name" style="--c:var(--c{n})" x="{right + 17}" y="{label + 4:.1f}">'
               f'{escape(name)}{" ⊣" if early else ""}</text>')


def columns(result, metric, rows, x, width):
    """An area over each x that tells all its values."""
    plan = result['plan']
    xs = plan['x']['values']
    for n, value in enumerate(xs):
        left = (x(xs[n - 1]) + x(value)) / 2 if n else LEFT
        right = (x(xs[n + 1]) + x(value)) / 2 if n + 1 < len(xs) else width - 90
        here = sorted((r for r in rows if r['x'] == value), key=lambda r: -r['median'])
        tip = '\n'.join([f'{place(plan, value)} {plan["x"]["label"]}',
                         *(f'{r["subject"]}\t{told(r, metric)}' for r in here)])
        yield (f'<g class="col" tabindex="0" data-tip="{escape(tip)}"><rect x="{left:.1f}" y="{TOP}" '
               f'width="{max(1, right - left):.1f}" height="{HIGH - BOTTOM - TOP}"/>'
               f'<path d="M{x(value):.1f} {TOP}V{HIGH - BOTTOM}"/></g>')


def dots(result, metric, panel, x_value, all_rows):
    """One row a subject: a bar from zero, a whisker for the interval, the figure."""
    plan = result['plan']
    rows = [r for r in rows_at(result, metric, panel) if r['x'] == x_value]
    if not rows:
        return ''
    rows.sort(key=lambda r: r['median'], reverse=METRICS[metric].better == 'more')
    names = [s['name'] for s in plan['subjects']]
    width, left, step = NARROW, 138, 24
    # One scale for a row of panels would crush small sizes: each panel has its own.
    tops = [r['high'] if r['high'] is not None else r['median'] for r in rows]
    x = Scale([0, max(tops)], left, width - 62, False)
    high = step * len(rows) + 8
    title = f'{plan["x"]["label"]}: {place(plan, x_value)}'
    if panel is not None:
        title = f'{plan["panel"]["label"]} {place(plan, panel)}, {title}'
    out = [f'<figure><h4>{escape(title)}</h4><svg viewBox="0 0 {width} {high}" role="img" '
           f'aria-label="{escape(title)}">']
    for n, r in enumerate(rows):
        y = step * n + step / 2 + 2
        tint = names.index(r['subject'])
        whisker = ''
        if r['low'] is not None:
            whisker = f'<path class="whisker" d="M{x(r["low"]):.1f} {y}H{x(r["high"]):.1f}"/>'
        out.append(f'<g class="bar" style="--c:var(--c{tint})" tabindex="0" '
                   f'data-tip="{escape(r["subject"])}\n{escape(told(r, metric))}">'
                   f'<rect class="hit" x="0" y="{y - step / 2}" width="{width}" height="{step}"/>'
                   f'<text class="row" x="{left - 8}" y="{y + 4}" text-anchor="end">'
                   f'{escape(r["subject"])}</text><rect x="{left}" y="{y - 6}" '
                   f'width="{max(1, x(r["median"]) - left):.1f}" height="12"/>{whisker}'
                   f'<text class="value" x="{x(max(r["median"], r["high"] or 0)) + 6:.1f}" '
                   f'y="{y + 4}">{number(r["median"])}</text></g>')
    return ''.join(out) + '</svg></figure>'
