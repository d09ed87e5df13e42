"""Charts as SVG and PNG, drawn from a result and from nothing else."""
import pathlib

import matplotlib

matplotlib.use('Agg')
matplotlib.rcParams.update({
    'svg.fonttype': 'none', 'font.family': ['DejaVu Sans'], 'font.size': 10,
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.edgecolor': '#71717a',
    'axes.labelcolor': '#3f3f46', 'xtick.color': '#52525b', 'ytick.color': '#52525b',
    'grid.color': '#e4e4e7', 'svg.hashsalt': 'weir',
})
from matplotlib import pyplot  # noqa: E402  the back end is chosen first

from .look import colours, place, runs  # noqa: E402
from .metrics import METRICS  # noqa: E402


def rows_of(result, metric, panel, subject):
    return [r for r in result['summary']['rows']
            if (r['metric'], r['panel'], r['subject']) == (metric, panel, subject)]


def positions(xs):
    """Numbers are where they are; words are side by side."""
    if all(type(x) in (int, float) for x in xs):
        return dict(zip(xs, xs))
    return {x: n for n, x in enumerate(xs)}


def label_of(metric):
    m = METRICS[metric]
    return f'{m.label}, {m.unit}' if m.unit else m.label


def ends_early(plan):
    """(name, why) of the subjects that cannot do the largest x."""
    return [(s['name'], s['why']) for s in plan['subjects']
            if s['ends_at'] is not None and max(plan['x']['values']) > s['ends_at']]


def one_panel(axes, result, metric, panel, tints):
    plan = result['plan']
    at = positions(plan['x']['values'])
    words = plan['x']['values'] != list(at.values())
    for name, (tint, _) in tints.items():
        rows = rows_of(result, metric, panel, name)
        if not rows:
            continue
        spots = [at[r['x']] for r in rows]
        middles = [r['median'] for r in rows]
        lows = [r['low'] if r['low'] is not None else r['median'] for r in rows]
        highs = [r['high'] if r['high'] is not None else r['median'] for r in rows]
        axes.plot(spots, middles, linestyle='none' if words else '-', marker='o', color=tint,
                  markersize=4, linewidth=1.8, label=name)
        axes.vlines(spots, lows, highs, color=tint, alpha=0.35, linewidth=3)
        bound = [(s, m) for s, m, r in zip(spots, middles, rows)
                 if r['client_bound'] and METRICS[metric].client]
        if bound:
            axes.scatter(*zip(*bound), s=60, facecolors='none', edgecolors=tint)
        if name in dict(ends_early(plan)):
            axes.plot(spots[-1:], middles[-1:], marker='|', markersize=16, color=tint)
    if words:
        axes.set_xticks(list(at.values()), [str(x) for x in at])
        axes.set_xlim(-0.5, len(at) - 0.5)
    elif plan['chart']['x_scale'] == 'log':
        axes.set_xscale('symlog' if 0 in at else 'log', **({'linthresh': 1} if 0 in at else {}))
        axes.set_xticks(list(at), [place(plan, x) for x in at], fontsize=8)
        axes.minorticks_off()
    if plan['chart']['y_scale'] == 'log':
        axes.set_yscale('log')
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(plan['x']['label'])
    axes.grid(axis='y')
    axes.set_axisbelow(True)
    if panel is not None:
        axes.set_title(f'{plan["panel"]["label"]}: {place(plan, panel)}', fontsize=10, loc='left')


def draw(result, folder, metric=None):
    """Writes NAME.svg and NAME.png (NAME-METRIC for another than the plan's own); gives the paths.

    An empty list if there is nothing to draw.
    """
    plan = result['plan']
    main = plan['chart']['metric']
    metric = metric or main
    if not any(r['metric'] == metric for r in result['summary']['rows']):
        return []
    panels = plan['panel']['values'] if plan['panel'] else [None]
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    shape, grid = pyplot.subplots(lines, columns, squeeze=False, sharey=True,
                                  figsize=(max(9, 4.4 * columns), 1 + 3.6 * lines))
    tints = colours([s['name'] for s in plan['subjects']])
    for n, axes in enumerate(grid.flat):
        if n >= len(panels):
            axes.set_visible(False)
            continue
        one_panel(axes, result, metric, panels[n], tints)
        if n % columns == 0:
            axes.set_ylabel(label_of(metric))
    handles = {}
    for axes in grid.flat:
        for handle, name in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(name, handle)
    shape.legend(handles.values(), handles, loc='lower center',
                 ncols=min(6, len(handles)), frameon=False)
    shape.suptitle(plan['title'], x=0.02, ha='left', fontsize=13, fontweight='bold')
    shape.text(0.02, 0.925 if lines == 1 else 0.95, foot(result, metric), fontsize=7.5,
               color='#71717a')
    for name, why in ends_early(plan):
        shape.text(0.98, 0.925 if lines == 1 else 0.95, f'| {name} ends: {why}', fontsize=7.5,
                   ha='right', color=tints[name][0])
    shape.tight_layout(rect=(0, 0.08, 1, 0.93))
    folder = pathlib.Path(folder)
    name = result['name'] if metric == main else f'{result["name"]}-{metric}'
    paths = [folder / f'{name}.svg', folder / f'{name}.png']
    shape.savefig(paths[0], metadata={'Date': None})
    shape.savefig(paths[1], dpi=130)
    pyplot.close(shape)
    return paths


def foot(result, metric):
    m = result['machine']
    spread = result['summary']['noise'].get(metric)
    noise = f'A/A control ±{(2.718281828 ** spread - 1):.1%}' if spread is not None \
        else 'no A/A control'
    parts = [f'medians of {runs(result)}, 95 % intervals', noise, f'Linux {m.get("kernel", "?")}', m.get('cpu', '')]
    if not result['complete']:
        parts.append('INTERRUPTED: partial result')
    return ' · '.join(p for p in parts if p)
