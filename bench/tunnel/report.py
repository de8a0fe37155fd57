"""The table and the plot of a run: median, and minimum to maximum."""

import statistics

ROWS = [  # key, title, unit, digits
    ("tcp1", "TCP, 1 flow", "Gbit/s", 2), ("tcp4", "TCP, 4 flows", "Gbit/s", 2),
    ("both", "TCP, both ways at once", "Gbit/s", 2),
    ("pps", "64-byte datagrams received", "1,000/s", 0),
    ("idle50", "ping, idle: p50", "ms", 3), ("idle99", "p99", "ms", 3), ("idle999", "p99.9", "ms", 3),
    ("load50", "ping beside 1 TCP flow: p50", "ms", 2), ("load99", "p99", "ms", 2),
    ("load999", "p99.9", "ms", 2),
    ("cpu", "CPU of both ends", "s/GiB", 2), ("rss1", "resident, 1 peer", "MiB", 1),
    ("rss1000", "resident, 1,000 peers", "MiB", 1),
    ("handshakes", "handshakes answered", "1,000/s", 1), ("handshake_cpu", "CPU of one", "µs", 0),
    ("flood", "TCP, 1 flow beside a flood of initiations", "% of alone", 0),
    ("flood_sink", "beside the same flood at a socket that no program reads", "% of alone", 0),
    ("flood_rate", "initiations of that flood", "1,000/s", 0),
    ("garbage", "TCP, 1 flow beside a flood of data messages of no session", "% of alone", 0),
    ("garbage_sink", "beside the same flood at a socket that no program reads", "% of alone", 0),
    ("garbage_rate", "messages of that flood", "1,000/s", 0),
]


def cell(values, digits):
    if not values:
        return "–"
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})"


def table(results):
    """`results`: {implementation: {key: [values]}}, in order."""
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for key, title, unit, digits in ROWS:
        cells = [cell(found.get(key, []), digits) for found in results.values()]
        if any(c != "–" for c in cells):
            lines.append(f"| {title}, {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(results, ours="engine"):
    lines = []
    for key, title in (("tcp1", "TCP, 1 flow"), ("tcp4", "TCP, 4 flows"), ("pps", "datagrams")):
        mine = results[ours].get(key)
        for name, found in results.items():
            if name != ours and mine and found.get(key):
                lines.append(f"{title}: {ours} is "
                             f"{statistics.median(mine) / statistics.median(found[key]):.2f} x {name}")
    return "\n".join(lines)


COLOURS = ("#2563eb", "#9ca3af", "#6b7280", "#d97706", "#111827", "#059669")


def plot(results):
    """Bars of the medians with whiskers from minimum to maximum, one panel per measure; SVG."""
    panels = [row for row in ROWS if row[0] in ("tcp1", "tcp4", "both", "pps", "idle99", "load99")]
    names = list(results)
    width, height, bar = 230, 210, 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * 3}" height="{height * 2 + 40}" '
           'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>']
    for n, (key, title, unit, digits) in enumerate(panels):
        left, top = n % 3 * width + 15, n // 3 * height + 25
        title = {"idle99": "ping p99, idle", "load99": "ping p99, loaded"}.get(key, title)
        out.append(f'<text x="{left}" y="{top - 8}" font-weight="bold">{title}, {unit}</text>')
        shown = [(i, results[name][key]) for i, name in enumerate(names) if results[name].get(key)]
        finite = [min(max(values), 1e6) for _, values in shown] or [1]
        scale = 140 / max(finite)
        for i, values in shown:
            median, least, most = statistics.median(values), min(values), min(max(values), 1e6)
            x, tall = left + i * (bar + 8), median * scale
            middle = x + bar / 2
            out.append(f'<rect x="{x}" y="{top + 155 - tall:.1f}" width="{bar}" height="{tall:.1f}" '
                       f'fill="{COLOURS[i % len(COLOURS)]}"/>'
                       f'<line x1="{middle}" x2="{middle}" y1="{top + 155 - most * scale:.1f}" '
                       f'y2="{top + 155 - least * scale:.1f}" stroke="black"/>'
                       f'<text x="{middle}" y="{top + 168}" text-anchor="middle" font-size="9">'
                       f'{median:.{digits}f}</text>')
    x = 15
    for i, name in enumerate(names):
        y = height * 2 + 25
        out.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>'
                   f'<text x="{x + 14}" y="{y}">{name}</text>')
        x += 30 + 7 * len(name)
    return "\n".join(out + ["</svg>\n"])
