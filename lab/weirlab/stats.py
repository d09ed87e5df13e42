"""The statistics: medians and ratios with bootstrap intervals, the A/A control, the verdict.

A measurement is a list of cells; cells of one block were taken one after the other in random order,
so a ratio is formed inside a block, and the blocks are what the bootstrap draws from. The A/A
control is the reference measured twice in each block: the spread of its ratio to itself is the
finest difference this machine can show.
"""
import math
import random
import statistics

DRAWS = 2000
LEVEL = 0.95
AGAIN = ' (again)'


def quantile(ordered, share):
    """Linear between the two nearest; `ordered` is sorted and not empty."""
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def bootstrap(values, middle=statistics.median, draws=DRAWS, level=LEVEL, seed=1):
    """(low, high) of `middle` over samples drawn with replacement; None for fewer than two."""
    if len(values) < 2:
        return None
    draw = random.Random(seed)
    found = sorted(middle(draw.choices(values, k=len(values))) for _ in range(draws))
    return quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2)


def percentile(histogram, share):
    """Of [(upper bound, count)], ascending: the bound that `share` of the counts do not exceed."""
    total = sum(count for _, count in histogram)
    if total == 0:
        return None
    wanted, seen = math.ceil(share * total), 0
    for bound, count in histogram:
        seen += count
        if seen >= wanted and count:
            return bound
    return histogram[-1][0]


def geometric(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def middle(values):
    """{'median', 'low', 'high', 'n'} of a list; the interval is None for a single value."""
    interval = bootstrap(values)
    return {'median': statistics.median(values), 'n': len(values),
            'low': interval and interval[0], 'high': interval and interval[1]}


def ratio(pairs):
    """{'ratio', 'low', 'high', 'n'} of [(a, b)]: the geometric mean of a / b over the blocks."""
    quotients = [a / b for a, b in pairs if a > 0 and b > 0]
    if not quotients:
        return None
    interval = bootstrap(quotients, geometric)
    return {'ratio': geometric(quotients), 'n': len(quotients),
            'low': interval and interval[0], 'high': interval and interval[1]}


def by_block(cells, subject, panel, x, metric):
    return {c['block']: c['values'][metric] for c in cells
            if (c['subject'], c['panel'], c['x']) == (subject, panel, x)
            and c['values'].get(metric) is not None}


def paired(cells, a, b, panel, x, metric):
    left, right = (by_block(cells, s, panel, x, metric) for s in (a, b))
    return [(left[n], right[n]) for n in sorted(left) if n in right]


def noise(cells, reference, places, metric):
    """The A/A control over all places: how far from 1 a ratio of equals may be; None if unknown."""
    pairs = [p for panel, x in places
             for p in paired(cells, reference + AGAIN, reference, panel, x, metric)]
    found = ratio(pairs)
    if found is None or found['low'] is None:
        return None
    return max(abs(math.log(found['low'])), abs(math.log(found['high'])))


def beats(pairs, spread):
    """True if the ratio's whole interval is on one side of 1, and further off than the control."""
    found = ratio(pairs)
    if found is None or found['low'] is None or spread is None:
        return False
    if found['low'] <= 1 <= found['high']:
        return False
    return abs(math.log(found['ratio'])) > spread


def verdict(cells, subjects, panel, x, metric, better, spread):
    """Who is best at one place: {'best', 'tied': [...]} where nobody in `tied` can be told apart.

    Without a direction, with fewer than two subjects or with no control, 'best' is None.
    """
    values = {s: by_block(cells, s, panel, x, metric) for s in subjects}
    ranked = sorted((s for s in subjects if values[s]),
                    key=lambda s: statistics.median(values[s].values()), reverse=better == 'more')
    if not better or len(ranked) < 2:
        return {'best': None, 'tied': []}
    tied = [s for s in ranked[1:]
            if not beats(paired(cells, ranked[0], s, panel, x, metric), spread)]
    return {'best': None if tied else ranked[0], 'tied': [ranked[0], *tied] if tied else []}


def places_of(plan):
    """All (panel, x), in the plan's order."""
    panels = plan['panel']['values'] if plan['panel'] else [None]
    return [(panel, x) for panel in panels for x in plan['x']['values']]


def summary(result, metrics):
    """What charts and tables show: rows of the medians, the ratios, the notes and the verdicts.

    `metrics` is metrics.METRICS. Nothing is made up for a cell that was left out.
    """
    cells, plan = result['cells'], result['plan']
    reference = plan['reference']
    names = [s['name'] for s in plan['subjects']]
    places = places_of(plan)
    out = {'noise': {}, 'rows': [], 'verdicts': []}
    for metric in plan['metrics']:
        spread = out['noise'][metric] = noise(cells, reference, places, metric)
        for panel, x in places:
            bound = [c['subject'] for c in cells if c['client_bound']
                     and (c['panel'], c['x']) == (panel, x)]
            if not any((c['panel'], c['x']) == (panel, x) for c in cells):
                continue
            for name in names:
                values = by_block(cells, name, panel, x, metric)
                if not values:
                    continue
                row = {'metric': metric, 'subject': name, 'panel': panel, 'x': x,
                       'client_bound': name in bound, **middle(list(values.values()))}
                if name != reference:
                    row['to_reference'] = ratio(paired(cells, name, reference, panel, x, metric))
                out['rows'].append(row)
            said = {'best': None, 'tied': []}
            why = ''
            if metrics[metric].client and bound:
                why = 'the client was the bottleneck'
            elif spread is None:
                why = 'too few repetitions for a control'
            else:
                said = verdict(cells, names, panel, x, metric, metrics[metric].better, spread)
            out['verdicts'].append({'metric': metric, 'panel': panel, 'x': x, 'why': why, **said})
    return out
