"""A chart of bars as an SVG document."""
from xml.sax.saxutils import escape

INK, MUTED, DURABLE, OTHER = "#111827", "#6b7280", "#0f766e", "#d1d5db"
WIDTH, NAMES, ROW, HEAD, VALUES = 860, 250, 24, 40, 110


def text(x, y, words, fill=INK, **more):
    more = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{more}>{escape(words)}</text>'


def panel(title, rows, top):
    """Rows of (name, value, durable, label)."""
    out = [text(16, top + 20, title, font_weight=600)]
    most = max((value for _, value, _, _ in rows), default=1) or 1
    for number, (name, value, durable, label) in enumerate(rows):
        y = top + HEAD + number * ROW
        width = max(1, (WIDTH - NAMES - VALUES) * value / most)
        out.append(text(NAMES - 10, y + 13, name, text_anchor="end"))
        out.append(f'<rect x="{NAMES}" y="{y}" width="{width:.1f}" height="{ROW - 7}" rx="2" '
                   f'fill="{DURABLE if durable else OTHER}"/>')
        out.append(text(NAMES + width + 6, y + 13, label, MUTED))
    return out


def bars(panels):
    """Panels of (title, rows) below each other."""
    parts, top = [], 8
    for title, rows in panels:
        parts += panel(title, rows, top)
        top += HEAD + ROW * len(rows) + 16
    for x, colour, words in ((NAMES, DURABLE, "on disk (fsync) before the acknowledgement"), (NAMES + 300, OTHER, "not")):
        parts.append(f'<rect x="{x}" y="{top}" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(text(x + 18, top + 10, words, MUTED))
    height = top + 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n")
