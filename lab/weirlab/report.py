"""The report: one HTML file that needs nothing else, made from results and from nothing else."""
import html
import math
import pathlib

from . import figure
from .look import colours, figure as number, place, runs
from .metrics import METRICS

HERE = pathlib.Path(__file__).resolve().parent
METHOD = (
    'The server has CPU 0, the client CPU 1. Each cell starts its server anew, compares one answer '
    'byte for byte, warms up, measures, and ends it.',
    'All servers are measured at each place before the next place, in random order; the seed is kept '
    'with the result. A ratio is formed inside such a block and never across two.',
    'A figure is the median over the blocks; intervals are 95 % bootstrap intervals (2,000 draws). A '
    'ratio is a geometric mean over the blocks.',
    'The reference is measured twice in each block. The spread of its ratio to itself is the A/A '
    'control: no smaller difference is called a difference, and nobody is named best by one.',
    'CPU time is what the scheduler counted for all threads of the server, kernel workers and ended '
    'threads included; the split in user and kernel is the kernel’s estimate.',
    'A cell whose client used 95 % of its CPU or more is client-bound. It is drawn hollow and ranks '
    'nobody by requests or latency; CPU per request is still the server’s.',
    'What did not start, answered wrongly or died is listed as left out. It is never drawn as zero.',
)
THREATS = (
    'Loopback is no network: no driver, no interrupts, no loss. The sender’s CPU does much of the '
    'receiver’s protocol work, so a part of each server’s cost is on the client’s CPU and back.',
    'Two CPUs, one of them the server’s: nothing here tells how a server grows with cores.',
    'A virtual machine: its host may take time (runs with more than 1 % taken are noted) and timers '
    'and wake-ups cost more than on bare metal.',
    'Kernel memory is counted for the whole machine, both ends of each connection; other work on the '
    'machine would be in it too.',
    'The latency of a closed loop is the number of callers over the throughput. Only the open loop '
    'says how long a request would have waited.',
    'Settings of other servers are the best we know, and are in the plans for anyone to correct.',
)


def escape(text):
    return html.escape(str(text), quote=True)


def page(results):
    """The text of report.html; `results` is not empty."""
    css = (HERE / 'page.css').read_text()
    js = (HERE / 'page.js').read_text()
    body = ''.join(section(r) for r in results)
    index = ''.join(f'<a href="#{escape(r["name"])}">{escape(r["plan"]["title"])}</a>'
                    for r in results)
    last = max(r['started'] for r in results)[:10]
    machine = results[-1]['machine']
    about = ', '.join(escape(machine[k]) for k in ('cpu',) if machine.get(k))
    return f'''<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>weir lab: what I/O models cost</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{css}{tints(results)}</style></head><body><main>
<header><p class="kicker">weir lab · {escape(last)}</p>
<h1>What I/O models cost, measured under one HTTP server</h1>
<p class="lead">{len(results)} experiments on {about or "one machine"}, Linux
{escape(machine.get("kernel", "?"))}. Every figure below was measured on this machine; the data is beside this
page.</p>
<nav>{index}<a href="#machine">The machine</a><a href="#method">The method</a><a
href="#threats">Threats to validity</a></nav></header>
{body}
{about_machine(machine)}
{listed("method", "The method", METHOD)}
{listed("threats", "Threats to validity", THREATS)}
<footer>Made by weir lab from {len(results)} results.</footer>
</main><div id="tip" role="status"></div><script>{js}</script></body></html>
'''


def tints(results):
    """The colour variables of each experiment, for light and dark."""
    light, dark = [], []
    for r in results:
        pairs = colours([s['name'] for s in r['plan']['subjects']]).values()
        for out, which in ((light, 0), (dark, 1)):
            out.append(f'#{r["name"]}{{'
                       + ''.join(f'--c{n}:{p[which]};' for n, p in enumerate(pairs)) + '}')
    return f'{"".join(light)}@media (prefers-color-scheme:dark){{{"".join(dark)}}}'


def section(result):
    plan, name = result['plan'], result['name']
    shown = [m for m in plan['metrics']
             if any(r['metric'] == m for r in result['summary']['rows'])]
    first = plan['chart']['metric'] if plan['chart']['metric'] in shown else (shown or [None])[0]
    tabs = ''.join(f'<button role="tab" aria-selected="{"true" if m == first else "false"}" '
                   f'data-for="{name}-{m}">{escape(METRICS[m].label)}</button>' for m in shown)
    plots = ''.join(f'<div id="{name}-{m}" role="tabpanel"{"" if m == first else " hidden"}>'
                    f'{plot(result, m)}{table(result, m)}</div>' for m in shown)
    state = '' if result['complete'] else '<p><span class="partial">Interrupted: a partial result' \
        '</span></p>'
    expect = f'<p class="expect"><b>Expected</b>{escape(plan["expect"])}</p>' \
        if plan['expect'] else ''
    note = f'<p class="note">{escape(plan["chart"]["note"])}</p>' if plan['chart']['note'] else ''
    return (f'<section id="{escape(name)}"><h2>{escape(plan["title"])}</h2>{state}'
            f'<p class="question">{escape(plan["question"])}</p>{expect}'
            f'<div class="tabs" role="tablist">{tabs}</div>{plots or "<p>Nothing was measured.</p>"}'
            f'{note}{left_out(result)}{how(result)}</section>')


def plot(result, metric):
    m = METRICS[metric]
    unit = f', {escape(m.unit)}' if m.unit else ''
    better = f' <span class="note">({m.better} is better)</span>' if m.better else ''
    legend = ''.join(f'<li style="--c:var(--c{n})"><i></i>{escape(s["name"])}</li>'
                     for n, s in enumerate(result['plan']['subjects']))
    legend = '' if figure.by_rows(result) else f'<ul class="legend">{legend}</ul>'
    return (f'<div class="plot"><h3>{escape(m.label)}{unit}{better}</h3><div class="plots">'
            f'{figure.chart(result, metric)}</div>{legend}</div>{findings(result, metric)}')


def findings(result, metric):
    """What may be said of each place; nobody is named best inside the noise."""
    plan = result['plan']
    spread = result['summary']['noise'].get(metric)
    said = []
    for v in result['summary']['verdicts']:
        if v['metric'] != metric:
            continue
        where = f'{place(plan, v["x"])} {plan["x"]["label"]}'
        if v['panel'] is not None:
            where = f'{plan["panel"]["label"]} {place(plan, v["panel"])}, {where}'
        if v['best']:
            said.append((where, f'{v["best"]} is best'))
        elif v['tied']:
            said.append((where, f'{", ".join(v["tied"])} cannot be told apart'))
        elif v['why']:
            said.append((where, f'no ranking: {v["why"]}'))
    if not said:
        return ''
    control = 'No A/A control could be formed.' if spread is None else \
        f'Differences below {math.exp(spread) - 1:.1%} are inside this machine’s noise.'
    rows = ''.join(f'<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>' for a, b in said)
    return (f'<p class="note">{control}</p><details><summary>Who is best, place by place</summary>'
            f'<div class="scroll"><table class="left">{rows}</table></div></details>')


def table(result, metric):
    plan = result['plan']
    panels = plan['panel']['values'] if plan['panel'] else [None]
    heads = ''.join(f'<th>{escape(place(plan, x))}</th>' for x in plan['x']['values'])
    rows = {(r['panel'], r['subject'], r['x']): r for r in result['summary']['rows']
            if r['metric'] == metric}
    body = ''
    for panel in panels:
        if panel is not None:
            body += (f'<tr><td colspan="{len(plan["x"]["values"]) + 1}"><small>'
                     f'{escape(plan["panel"]["label"])} {escape(place(plan, panel))}</small></td></tr>')
        for n, s in enumerate(plan['subjects']):
            cells = ''.join(entry(rows.get((panel, s['name'], x)), metric)
                            for x in plan['x']['values'])
            body += (f'<tr><th style="--c:var(--c{n})"><i></i>{escape(s["name"])}</th>{cells}</tr>')
    return (f'<details><summary>Figures: medians, 95 % intervals, × {escape(plan["reference"])}'
            f'</summary><div class="scroll"><table><thead><tr><th>{escape(plan["x"]["label"])}</th>'
            f'{heads}</tr></thead><tbody>{body}</tbody></table></div></details>')


def entry(row, metric):
    if row is None:
        return '<td class="none">–</td>'
    small = ''
    if row['low'] is not None:
        small = f'{number(row["low"])} – {number(row["high"])}'
    other = row.get('to_reference')
    if other:
        small += f' · ×{other["ratio"]:.2f}'
        if other['low'] is not None:
            small += f' [{other["low"]:.2f}, {other["high"]:.2f}]'
    if row['client_bound'] and METRICS[metric].client:
        small += ' · client-bound'
    return f'<td>{number(row["median"])}<small>{escape(small.removeprefix(" · "))}</small></td>'


def left_out(result):
    """One line for each reason."""
    reasons = {}
    for m in result['missing']:
        where = reasons.setdefault((m['subject'], m['why']), [])
        word = 'everywhere' if m['x'] is None else place(result['plan'], m['x'])
        if m['panel'] is not None:
            word += f' ({place(result["plan"], m["panel"])})'
        if word not in where:
            where.append(word)
    if not reasons:
        return ''
    rows = ''.join(f'<tr><td>{escape(name)}</td><td>{escape(why)}</td><td>{escape(", ".join(at))}</td>'
                   '</tr>' for (name, why), at in reasons.items())
    return (f'<h3>Left out</h3><div class="scroll"><table class="left"><thead><tr><th>what</th>'
            f'<th>why</th><th>at {escape(result["plan"]["x"]["label"])}</th></tr></thead>{rows}'
            '</table></div>')


def how(result):
    taken = sorted({n for c in result['cells'] for n in c['notes']})
    parts = [runs(result),
             f'seed {result["seed"]}', f'started {result["started"]}',
             f'took {result.get("took_seconds", 0):.0f} s']
    if result['generator']:
        parts.append(f'load by {result["generator"]}')
    if result.get('capacity'):
        parts.append('capacity ' + ', '.join(f'{k} {number(v)}/s'
                                             for k, v in result['capacity'].items()))
    if taken:
        parts.append(f'{len(taken)} notes on time taken by other guests')
    return f'<p class="note">{escape(" · ".join(parts))}</p>'


def about_machine(machine):
    plain = {'cpu': 'CPU', 'cpus': 'CPUs', 'memory_mib': 'Memory, MiB', 'kernel': 'Kernel',
             'architecture': 'Architecture', 'clock': 'Clock source',
             'syscall_ns': 'A system call (getppid), ns', 'wakeup_us': 'A wake-up on the other CPU, µs',
             'command_line': 'Kernel command line', 'commit': 'Commit'}
    rows = [(label, machine[k]) for k, label in plain.items() if machine.get(k)]
    rows += [(k, v) for k, v in machine.get('versions', {}).items() if v]
    rows += [(k.replace('_', ' '), v) for k, v in machine.get('mitigations', {}).items()]
    body = ''.join(f'<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in rows)
    return (f'<section id="machine"><h2>The machine</h2><div class="scroll"><table class="left">{body}'
            '</table></div></section>')


def listed(name, title, lines):
    items = ''.join(f'<li>{escape(line)}</li>' for line in lines)
    return f'<section id="{name}"><h2>{title}</h2><ul class="findings">{items}</ul></section>'
